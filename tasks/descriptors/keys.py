"""The registry of descriptors: key, group, shape, unit, meaning and reference of each number a model sees.

Each group is listed in a file of its own in `tasks.descriptors.registry`, with its version: the order of the
keys is the order of the group's array, and the version is raised whenever a value changes.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, get_args

from models.specs import GROUP_NAMES, GroupName
from tasks.descriptors.errors import DescriptorError
from tasks.descriptors.registry import chemistry, local, profile, topology

if TYPE_CHECKING:
    from tasks.descriptors.registry.base import Descriptor

GROUP_VERSIONS: dict[GroupName, int] = {
    "local": local.VERSION,
    "profile": profile.VERSION,
    "topology": topology.VERSION,
    "chemistry": chemistry.VERSION,
}


@lru_cache(maxsize=1)
def registry() -> dict[GroupName, tuple[Descriptor, ...]]:
    """Return every descriptor by group, in the order of the group's array."""
    return {
        "local": local.descriptors(),
        "profile": profile.descriptors(),
        "topology": topology.descriptors(),
        "chemistry": chemistry.descriptors(),
    }


@lru_cache(maxsize=len(GROUP_NAMES))
def group_keys(group: GroupName) -> tuple[str, ...]:
    """Return the keys of a group in the order of its array.

    Parameters
    ----------
    group : {"local", "profile", "topology", "chemistry"}
        Name of the group.

    Returns
    -------
    tuple of str
        The keys.

    Raises
    ------
    DescriptorError
        If there is no such group.
    """
    if group not in get_args(GroupName):
        raise DescriptorError(f"No descriptor group {group!r}: choose one of {', '.join(GROUP_NAMES)}.")
    return tuple(descriptor.key for descriptor in registry()[group])


def descriptor_table() -> list[dict[str, object]]:
    """Return the registry as rows for people: key, group, version, shape, unit, meaning, reference."""
    return [
        {**asdict(descriptor), "version": GROUP_VERSIONS[group]}
        for group in GROUP_NAMES
        for descriptor in registry()[group]
    ]
