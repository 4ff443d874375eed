"""A residual convolutional network: one branch a descriptor group, fused by a small head."""

from __future__ import annotations

from torch import Tensor, nn

from models.networks.base import (
    IMAGE_NDIM,
    BranchedNetwork,
    NetworkShape,
    VectorBranch,
    mean_and_maximum,
)

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
        return mean_and_maximum(features)


class ResidualCNN(BranchedNetwork):
    """One branch a descriptor group, concatenated and mapped to one number by a small head."""

    def __init__(self, shape: NetworkShape) -> None:
        settings = shape.settings
        branches: dict[str, nn.Module] = {}
        width = 0
        for name, size in shape.inner_sizes.items():
            if len(size) == IMAGE_NDIM:
                branches[name] = _ImageBranch(size[0], settings.channels, settings.blocks, settings.dropout)
                width += 2 * settings.channels
            else:
                branches[name] = VectorBranch(size[0], settings.hidden, settings.dropout)
                width += settings.hidden
        super().__init__(branches, width, shape)
