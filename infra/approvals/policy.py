"""Who may sign: the approvers with their roles and keys, and how many signatures of which roles are enough."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from infra.approvals.dsse import canonical
from infra.approvals.keys import PublicKey
from steps.core import Config
from steps.wording import listed

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}$"
Name = Annotated[str, Field(pattern=NAME)]
Quorum = dict[Name, Annotated[int, Field(ge=1, le=20)]]


class Approver(Config):
    """Somebody who may sign."""

    name: Name
    roles: tuple[Name, ...] = Field(min_length=1)
    keys: tuple[str, ...] = Field(min_length=1, description="Lines of .pub files: ssh-ed25519 AAAA...")
    accounts: tuple[str, ...] = Field(
        default=(), description="The names under which this person starts runs (USER, or the login in CI)."
    )

    @property
    def public_keys(self) -> list[PublicKey]:
        return [PublicKey.parse(text) for text in self.keys]


class Approvers(Config):
    """The content of approvers.yaml."""

    approvers: tuple[Approver, ...] = Field(min_length=1)
    quorum: Quorum = Field(min_length=1, description="Role -> how many people of it must approve a model.")
    change: Quorum = Field(min_length=1, description="Role -> how many people of it must adopt a change of this file.")
    valid_days: int = Field(default=365, ge=1, le=3650, description="Days after which an approval has expired.")

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        names = [approver.name for approver in self.approvers]
        keys = [key.id for approver in self.approvers for key in approver.public_keys]
        for what, values in (("name", names), ("key", keys)):
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"{what} {twice[0]} stands there twice; one person has one entry")
        for field in ("quorum", "change"):
            if missing := shortage(getattr(self, field), self.approvers):
                raise ValueError(f"{field}: its people are too few, even if all sign: {missing}")
        return self

    def digest(self) -> str:
        """Return the sha256 of the content, however its file is laid out."""
        return hashlib.sha256(canonical(self.model_dump(mode="json"))).hexdigest()

    @property
    def keys(self) -> dict[str, Approver]:
        """Whose key is which, by the key's id."""
        return {key.id: approver for approver in self.approvers for key in approver.public_keys}


def shortage(quorum: Mapping[str, int], people: Iterable[Approver]) -> str:
    """Return in words what a quorum lacks; empty if the people fill it, each in one role only.

    Each place of the quorum is matched with a person by augmenting paths (Kuhn 1955), so that somebody of two roles is
    counted for the one in which nobody else is left.
    """
    people = list(people)
    places = [role for role, count in quorum.items() for _ in range(count)]
    seats: dict[int, int] = {}  # person -> place

    def seat(place: int, tried: set[int]) -> bool:
        for number, person in enumerate(people):
            if places[place] in person.roles and number not in tried:
                tried.add(number)
                if number not in seats or seat(seats[number], tried):
                    seats[number] = place
                    return True
        return False

    empty = [places[place] for place in range(len(places)) if not seat(place, set())]
    return listed([f"{empty.count(role)} more of role {role}" for role in dict.fromkeys(empty)])


def example(name: str, key: PublicKey, account: str) -> str:
    """Return the text of an approvers.yaml in which one person may do everything."""
    return f"""\
# Who may approve models. A change of this file takes effect once those of `change` have adopted it:
#   fourscore approvers adopt --reason '...'
approvers:
  - name: {name}
    roles: [reviewer, admin]
    keys:
      - {key.text}
    accounts: [{account}]  # the names under which this person starts runs; four-eyes refuses approvals of one's own
quorum: {{reviewer: 1}}  # role: how many people of it must approve a model
change: {{admin: 1}}  # role: how many people of it must adopt a change of this file
valid_days: 365  # after which an approval has expired
"""


def of_json(content: Any) -> Approvers:
    """Return the approvers in JSON; raises ValueError where they are none."""
    return Approvers.model_validate(content)
