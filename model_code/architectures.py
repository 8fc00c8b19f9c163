"""The architectures by name: one file each, one table of import strings, and nothing is imported until it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from model_code.named import made

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from model_code.tabular.preprocessing import Layout, Scaling
    from model_code.training import Recipe

    Array = np.ndarray[Any, Any]

_ARCHITECTURES = {
    "linear": "model_code.tabular.linear:Linear",
    "mlp": "model_code.tabular.mlp:Mlp",
}


class Architecture(Protocol):
    """A network and how to train it, its config sized once for all fits of a work.

    The network maps (values float32[b, c+p], slots int64[b, m]) to raw outputs float32[b, members, width].
    """

    scaling: Scaling
    """Which scaling of the continuous columns it wants."""

    def sized(self, rows: int) -> Architecture:
        """The same with the config for a training part of that many rows, however many of them a fit is given."""

    def recipe(self) -> Recipe:
        """How to train it."""

    def build(self, layout: Layout, values: Array, width: int) -> nn.Module:
        """The network before training; ``values`` are the preprocessed training rows, for what is fitted on them."""

    def describe(self) -> dict[str, Any]:
        """The config that ``build`` and ``recipe`` use, as plain values for the record."""


def names() -> tuple[str, ...]:
    return tuple(_ARCHITECTURES)


def get(name: str, rows: int) -> Architecture:
    """The architecture of that name, sized for a training part of that many rows.

    Folds and the final fit have to be given the same one: a config that each fit chose by its own rows would differ
    between them around a limit, and the model that is exported would not be the one that was validated.

    Raises:
        ValueError: there is none; the message lists those that there are.
    """
    architecture: Architecture = made("architecture", name, _ARCHITECTURES)
    return architecture.sized(rows)
