"""Names of ids: of columns that say which customer, patient or account a row is about."""

from __future__ import annotations

import re

_WHO = (
    "account|applicant|borrower|buyer|cardholder|child|client|cust|customer|device|donor|driver|employee|guest|household|"
    "member|participant|passenger|patient|person|player|policyholder|respondent|seller|speaker|student|subject|subscriber|"
    "supplier|tenant|user|username|vehicle|visitor|worker|writer|kunde|patientin|cliente|client[ei]le"
)
_ID = "id|ids|uid|uuid|guid|identifier|hash"
_NUMBER = "no|nr|num|nbr|number|code|key|ref|nummer"
_SUBJECT = re.compile(
    rf"(^|_)({_WHO})s?(_({_ID}|{_NUMBER}|name))?$|(^|_)({_WHO})({_ID}|{_NUMBER})$|(^|_)(kunden|patienten)_?({_ID}|{_NUMBER})$"
)
_IDENTIFIER = re.compile(rf"(^|_)({_ID})$")


def words_of(name: str) -> str:
    """Return a name as lower-case words with `_` between them: CustomerID, customer-id and `Customer Id` are one."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    return re.sub(r"[\W_]+", "_", spaced).strip("_").lower()


def names_subject(name: str) -> bool:
    """Return whether a column is named like the person or thing that rows are about: customer_id, patient, AccountNo."""
    return _SUBJECT.search(words_of(name)) is not None


def names_id(name: str) -> bool:
    """Return whether a column is named like an id of any kind."""
    return names_subject(name) or _IDENTIFIER.search(words_of(name)) is not None
