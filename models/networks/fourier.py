"""A Fourier-feature network: sines and cosines of random projections of all inputs, then a perceptron."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.networks.base import IMAGE_NDIM, BarrierNetwork, NetworkShape

if TYPE_CHECKING:
    from collections.abc import Mapping

WAVES = 4  # cosine terms that a channel of an image is summed up by
FEATURES = 4  # projections, as a multiple of the width of a vector branch
BANDWIDTH = 0.1  # standard deviation of a projection, in turns


def cosine_basis(positions: int, waves: int) -> Tensor:
    """Return the first orthonormal cosine terms over evenly spaced positions, ``(positions, waves)``."""
    place = (torch.arange(positions, dtype=torch.float64) + 0.5) * (math.pi / positions)
    terms = torch.cos(place[:, None] * torch.arange(waves, dtype=torch.float64)[None, :])
    basis: Tensor = terms / terms.norm(dim=0)
    return basis.to(torch.float32)


class _Layer(nn.Module):
    """One residual layer of the perceptron."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.LayerNorm(width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width)
        )  # fmt: skip

    def forward(self, value: Tensor) -> Tensor:
        change: Tensor = self.body(value)
        return value + change


class FourierNetwork(BarrierNetwork):
    """Random Fourier features (Tancik et al., arXiv 2006.10739) of all groups together, and a perceptron.

    Vectors enter as they are; a channel of an image enters as its first cosine terms along the path, its
    minimum and its maximum. The projections are drawn once, from the seed, and not learned: they are buffers.
    There are four times ``hidden`` of them; the perceptron has ``blocks`` residual layers of width ``fused``.
    """

    frequencies: Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(shape)
        settings = shape.settings
        width = 0
        for name, size in shape.inner_sizes.items():
            if len(size) == IMAGE_NDIM:
                waves = min(WAVES, size[1])
                self.register_buffer(f"basis_{name}", cosine_basis(size[1], waves))
                width += size[0] * (waves + 2)
            else:
                width += size[0]
        self.names = tuple(shape.sizes)
        n_features = FEATURES * settings.hidden
        # Of inputs of unit variance, a projection then varies by the bandwidth, however many they are.
        scale = BANDWIDTH / math.sqrt(width)
        self.register_buffer("frequencies", scale * torch.randn(width, n_features))
        self.body = nn.Sequential(
            nn.Linear(2 * n_features, settings.fused),
            *(_Layer(settings.fused, settings.dropout) for _ in range(settings.blocks)),
            nn.SiLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.fused, 1),
        )

    def encoded(self, name: str, value: Tensor) -> Tensor:
        """Return a vector as it is, and an image as summaries of its channels, ``(n, width)``."""
        if value.ndim != IMAGE_NDIM + 1:
            return value
        waves = value @ self.get_buffer(f"basis_{name}")
        ends = [value.amin(dim=-1, keepdim=True), value.amax(dim=-1, keepdim=True)]
        return torch.cat([waves, *ends], dim=-1).flatten(start_dim=1)

    def fuse(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return standardised log barriers, ``(n,)``, of the parts of all groups."""
        flat = torch.cat([parts[name] for name in self.names], dim=1)
        angle = (2 * math.pi) * (flat @ self.frequencies)
        output: Tensor = self.body(torch.cat([torch.cos(angle), torch.sin(angle)], dim=1))
        return output.squeeze(-1)
