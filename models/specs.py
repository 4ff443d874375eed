"""What the inputs of a barrier model look like, in plain types: groups, keys, shapes and versions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

GroupName = Literal["local", "profile", "topology", "chemistry"]
GROUP_NAMES: tuple[GroupName, ...] = ("local", "profile", "topology", "chemistry")
NetworkName = Literal["cnn", "rnn", "fourier"]
NETWORK_NAMES: tuple[NetworkName, ...] = ("cnn", "rnn", "fourier")
"""Networks that can be trained, by the name that settings give them."""


class GroupSpec(BaseModel):
    """One descriptor group: a vector of named numbers, or an image of named channels by path positions.

    ``shape`` is ``(len(keys),)`` for a vector and ``(len(keys), n_positions)`` for an image. Entries that do
    not exist for a hop are NaN; a model masks them. An image reverses along its last axis when the hop is
    reversed; a vector does not change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: GroupName
    version: int = Field(ge=1)
    keys: tuple[str, ...]
    shape: tuple[int, ...]


class InputSpec(BaseModel):
    """The descriptor groups that a model takes, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: tuple[GroupSpec, ...]

    def names(self) -> tuple[GroupName, ...]:
        """Return the names of the groups, in order."""
        return tuple(group.name for group in self.groups)

    def versions(self) -> dict[str, int]:
        """Return the version of every group by name."""
        return {group.name: group.version for group in self.groups}
