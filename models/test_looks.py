"""How often published test hops were looked at: a kept list, because every look makes them worth less."""

from __future__ import annotations

import importlib.resources
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOKS_NAME = "test_looks.json"
DIGEST_DIGITS = 12


class Look(BaseModel):
    """One checkpoint of ours that was judged on the test hops of a data set.

    Attributes
    ----------
    digest : str
        The first digits of the checkpoint's digest.
    mae_ev : float
        Its mean absolute error there, in eV.
    recipe : str
        What it was, in a few words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    digest: str
    mae_ev: float
    recipe: str


def kept_looks() -> Mapping[str, tuple[Look, ...]]:
    """Return the list, oldest look first, by data set."""
    text = (importlib.resources.files("models") / "pretrained" / LOOKS_NAME).read_text(encoding="utf-8")
    return TypeAdapter(dict[str, tuple[Look, ...]]).validate_json(text)


def earlier_looks(dataset: str, digest: str) -> list[str]:
    """Return the checkpoints that were judged on a data set's test hops before one was, by their digests.

    Parameters
    ----------
    dataset : str
        Name of the data set.
    digest : str
        Digest of the checkpoint that is judged now; its own entry and what came after are left out.

    Returns
    -------
    list of str
        The first digits of each; all of the list where the checkpoint does not stand in it.
    """
    known = [look.digest for look in kept_looks().get(dataset, ())]
    own = digest[:DIGEST_DIGITS]
    return known[: known.index(own)] if own in known else known
