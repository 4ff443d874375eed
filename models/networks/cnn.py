"""A residual convolutional network: one branch a descriptor group, fused by a small head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.networks.base import IMAGE_NDIM, BarrierNetwork, NetworkShape

if TYPE_CHECKING:
    from collections.abc import Mapping

KERNEL = 3
NORM_GROUPS = 4


class _ImageBlock(nn.Module):
    """Two convolutions along the path and a shortcut round them (He et al., 10.1109/CVPR.2016.90)."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        groups = NORM_GROUPS if channels % NORM_GROUPS == 0 else 1
        self.body = nn.Sequential(
            nn.GroupNorm(groups, channels),
            nn.SiLU(),
            nn.Conv1d(channels, channels, KERNEL, padding=KERNEL // 2),
            nn.GroupNorm(groups, channels),
            nn.SiLU(),
            # Whole channels drop out: neighbouring positions say nearly the same.
            nn.Dropout1d(dropout),
            nn.Conv1d(channels, channels, KERNEL, padding=KERNEL // 2),
        )

    def forward(self, value: Tensor) -> Tensor:
        change: Tensor = self.body(value)
        return value + change


class _ImageBranch(nn.Module):
    """Residual blocks along the path, then the mean and the maximum over it."""

    def __init__(self, n_channels: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Conv1d(n_channels, width, KERNEL, padding=KERNEL // 2)
        self.blocks = nn.Sequential(*(_ImageBlock(width, dropout) for _ in range(blocks)))

    def forward(self, value: Tensor) -> Tensor:
        features = nn.functional.silu(self.blocks(self.stem(value)))
        return torch.cat([features.mean(dim=-1), features.amax(dim=-1)], dim=1)


class _VectorBranch(nn.Module):
    """A linear map and one residual block."""

    def __init__(self, n_keys: int, width: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Linear(n_keys, width)
        self.body = nn.Sequential(
            nn.LayerNorm(width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width)
        )  # fmt: skip

    def forward(self, value: Tensor) -> Tensor:
        start = self.stem(value)
        return nn.functional.silu(start + self.body(start))


class ResidualCNN(BarrierNetwork):
    """One branch a descriptor group, concatenated and mapped to one number by a small head."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        settings = shape.settings
        branches: dict[str, nn.Module] = {}
        width = 0
        for name, size in shape.sizes.items():
            if len(size) == IMAGE_NDIM:
                branches[name] = _ImageBranch(size[0], settings.channels, settings.blocks, settings.dropout)
                width += 2 * settings.channels
            else:
                branches[name] = _VectorBranch(size[0], settings.hidden, settings.dropout)
                width += settings.hidden
        self.branches = nn.ModuleDict(branches)
        self.head = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear(width, settings.fused),
            nn.SiLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.fused, 1),
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return standardised log barriers, ``(n,)``."""
        fused = torch.cat([branch(inputs[name]) for name, branch in self.branches.items()], dim=1)
        output: Tensor = self.head(fused)
        return output.squeeze(-1)
