"""All descriptor groups of a hop at once: what a model is given, and the specification of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.specs import GROUP_NAMES, GroupName, GroupSpec, InputSpec
from tasks.descriptors.chemistry import chemistry
from tasks.descriptors.elements import table_digest
from tasks.descriptors.errors import DescriptorError
from tasks.descriptors.keys import GROUP_VERSIONS, group_keys, registry
from tasks.descriptors.local import local
from tasks.descriptors.profile import channels, profile
from tasks.descriptors.scene import survey
from tasks.descriptors.topology import topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tasks.hops.path import HopEnvironment


def _group_spec(group: GroupName) -> GroupSpec:
    """Return what the array of a group looks like."""
    keys = group_keys(group)
    return GroupSpec(
        name=group, version=GROUP_VERSIONS[group], keys=keys, shape=(len(keys), *registry()[group][0].shape)
    )


INPUT_SPEC = InputSpec(groups=tuple(_group_spec(group) for group in GROUP_NAMES))
"""Groups, versions, keys and shapes of what `describe` returns."""

STAGE_VERSION = ",".join(f"{group}{GROUP_VERSIONS[group]}" for group in GROUP_NAMES)
"""Part of every key under which descriptors, and what follows from them, are recorded."""


def tables_digest() -> str:
    """Return the digest of the element figures that descriptors rest on, for the stage key."""
    return table_digest()


def describe(env: HopEnvironment) -> dict[GroupName, NDArray[np.float32]]:
    """Describe one hop.

    Parameters
    ----------
    env : HopEnvironment
        The path (21 points) and its surroundings, cut at 8 Å or further.

    Returns
    -------
    dict of str to ndarray, float32
        One array a group, shaped as `INPUT_SPEC` says; NaN where a quantity does not exist or is unknown.

    Raises
    ------
    DescriptorError
        If the environment is cut too short, has another number of points, or holds no anion.
    """
    scene = survey(env)
    image = channels(scene)
    found: dict[GroupName, NDArray[np.float32]] = {
        "local": local(env, scene, image),
        "profile": profile(env, scene, image),
        "topology": topology(env, scene),
        "chemistry": chemistry(env, scene),
    }
    for group, values in found.items():
        if np.isinf(values).any():
            raise DescriptorError(
                f"Group {group} is infinite for this hop: atoms may coincide with its path."
            )
    return found


def describe_batch(envs: Sequence[HopEnvironment]) -> dict[GroupName, NDArray[np.float32]]:
    """Describe many hops.

    Parameters
    ----------
    envs : sequence of HopEnvironment
        Any number of hops.

    Returns
    -------
    dict of str to ndarray of shape (n, *shape), float32
        One array a group, a row a hop in the order given.
    """
    rows = [describe(env) for env in envs]
    return {
        group.name: np.stack([row[group.name] for row in rows])
        if rows
        else np.empty((0, *group.shape), dtype=np.float32)
        for group in INPUT_SPEC.groups
    }
