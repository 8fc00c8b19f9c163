"""A small evaluator of IAM policies: what the documentation says of Allow, Deny, wildcards and the operators that we use.

An operator that it does not know is an error, so a policy cannot use one that no test understands.
"""

import re
from functools import cache

SINGLE = {
    "StringEquals": lambda actual, expected: actual == expected,
    "StringLike": lambda actual, expected: like(expected, actual),
    "ArnEquals": lambda actual, expected: arn_like(expected, actual),
    "ArnLike": lambda actual, expected: arn_like(expected, actual),
    "Bool": lambda actual, expected: str(actual).lower() == str(expected).lower(),
    "NumericLessThan": lambda actual, expected: float(actual) < float(expected),
}
NEGATED = {"StringNotEquals": "StringEquals", "StringNotLike": "StringLike"}


def allowed(statements, action, resource, context=None, principal=None):
    return decide(statements, action, resource, context, principal) == "allow"


def decide(statements, action, resource, context=None, principal=None):
    """allow | deny (explicitly) | nothing (which denies, too)."""
    context = {key.lower(): value for key, value in (context or {}).items()}
    effects = [item["Effect"] for item in statements if _applies(item, action, resource, context, principal)]
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else "nothing"


def _applies(statement, action, resource, context, principal):
    assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}, statement
    return (
        any(like(item.lower(), action.lower()) for item in _list(statement["Action"]))
        and ("Resource" not in statement or any(like(item, resource) for item in _list(statement["Resource"])))
        and ("Principal" not in statement or _is_principal(statement["Principal"], principal))
        and all(
            _holds(operator, key.lower(), expected, context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def _is_principal(expected, principal):
    if expected == "*":
        return True
    return any(kind == principal[0] and principal[1] in _list(names) for kind, names in expected.items())


def _holds(operator, key, expected, context):
    quantifier, _, operator = operator.rpartition(":")
    optional = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    actual = context.get(key)
    if operator == "Null":
        return (actual is None) == (str(expected).lower() == "true")
    if operator in NEGATED:
        return actual is None or not _holds(NEGATED[operator], key, expected, context)
    if actual is None:
        return optional or quantifier == "ForAllValues"
    test = SINGLE[operator]
    values = actual if isinstance(actual, list) else [actual]
    fits = [any(test(value, item) for item in _list(expected)) for value in values]
    return all(fits) if quantifier == "ForAllValues" else any(fits)


def _list(value):
    return value if isinstance(value, list) else [value]


def like(pattern, text):
    """``*`` spans everything, slashes and colons too; ``?`` one character."""
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern):
    return re.compile("".join({"*": ".*", "?": "."}.get(item, re.escape(item)) for item in pattern), re.DOTALL)


def arn_like(pattern, text):
    """Wildcards within each of the six parts of an ARN."""
    expected, actual = pattern.split(":", 5), text.split(":", 5)
    return len(expected) == len(actual) and all(like(*pair) for pair in zip(expected, actual, strict=True))
