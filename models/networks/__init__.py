"""Networks behind one interface: a registry by name, and the one way to build them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import ModelError
from models.networks.base import (
    BarrierNetwork,
    NetworkShape,
    both_directions,
    directions,
    mean_of,
    reverse,
)
from models.networks.cnn import ResidualCNN
from models.networks.fourier import FourierNetwork
from models.networks.rnn import RecurrentNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.settings import TrainSettings

NETWORKS: Mapping[str, Callable[[NetworkShape], BarrierNetwork]] = {
    "cnn": ResidualCNN,
    "rnn": RecurrentNetwork,
    "fourier": FourierNetwork,
}


def build_network(sizes: Mapping[str, tuple[int, ...]], settings: TrainSettings) -> BarrierNetwork:
    """Build the network that the settings name.

    Parameters
    ----------
    sizes : mapping of str to tuple of int
        Shape of one row of each group after standardising.
    settings : TrainSettings
        ``arch`` names the network; the rest is its size.

    Raises
    ------
    ModelError
        If no network has that name.
    """
    if settings.arch not in NETWORKS:
        raise ModelError(f"no network is called {settings.arch!r}; allowed are {sorted(NETWORKS)}")
    return NETWORKS[settings.arch](NetworkShape(sizes=dict(sizes), settings=settings))


__all__ = [
    "NETWORKS",
    "BarrierNetwork",
    "NetworkShape",
    "both_directions",
    "build_network",
    "directions",
    "mean_of",
    "reverse",
]
