"""A small evaluator of IAM policies: what the documentation says of Allow, Deny, wildcards and the operators that we use.

An operator that it does not know is an error, so a policy cannot use one that no test understands.
"""

import re
from functools import cache

SINGLE = {
    "StringEquals": lambda found, wanted: found == wanted,
    "StringLike": lambda found, wanted: like(wanted, found),
    "ArnEquals": lambda found, wanted: arn_like(wanted, found),
    "ArnLike": lambda found, wanted: arn_like(wanted, found),
    "Bool": lambda found, wanted: str(found).lower() == str(wanted).lower(),
    "NumericLessThan": lambda found, wanted: float(found) < float(wanted),
}
NEGATED = {"StringNotEquals": "StringEquals", "StringNotLike": "StringLike"}


def allowed(statements, action, resource, context=None, principal=None):
    return decide(statements, action, resource, context, principal) == "allow"


def decide(statements, action, resource, context=None, principal=None):
    """allow | deny (explicitly) | nothing (which denies, too)."""
    context = {key.lower(): value for key, value in (context or {}).items()}
    effects = [each["Effect"] for each in statements if _applies(each, action, resource, context, principal)]
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else "nothing"


def _applies(statement, action, resource, context, principal):
    assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}, statement
    return (
        any(like(each.lower(), action.lower()) for each in _list(statement["Action"]))
        and ("Resource" not in statement or any(like(each, resource) for each in _list(statement["Resource"])))
        and ("Principal" not in statement or _is_principal(statement["Principal"], principal))
        and all(
            _holds(operator, key.lower(), wanted, context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _is_principal(wanted, principal):
    if wanted == "*":
        return True
    return any(kind == principal[0] and principal[1] in _list(names) for kind, names in wanted.items())


def _holds(operator, key, wanted, context):
    quantifier, _, operator = operator.rpartition(":")
    optional = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    found = context.get(key)
    if operator == "Null":
        return (found is None) == (str(wanted).lower() == "true")
    if operator in NEGATED:
        return found is None or not _holds(NEGATED[operator], key, wanted, context)
    if found is None:
        return optional or quantifier == "ForAllValues"
    test = SINGLE[operator]
    values = found if isinstance(found, list) else [found]
    fits = [any(test(value, each) for each in _list(wanted)) for value in values]
    return all(fits) if quantifier == "ForAllValues" else any(fits)


def _list(value):
    return value if isinstance(value, list) else [value]


def like(pattern, text):
    """``*`` spans everything, slashes and colons too; ``?`` one character."""
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern):
    return re.compile("".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern), re.DOTALL)


def arn_like(pattern, text):
    """Wildcards within each of the six parts of an ARN."""
    wanted, found = pattern.split(":", 5), text.split(":", 5)
    return len(wanted) == len(found) and all(like(*pair) for pair in zip(wanted, found, strict=True))
