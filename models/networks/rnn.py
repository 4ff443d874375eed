"""A recurrent network: it reads each image along the path both ways, beside one branch a vector group."""

from __future__ import annotations

from torch import Tensor, nn

from models.networks.base import (
    IMAGE_NDIM,
    BranchedNetwork,
    NetworkShape,
    VectorBranch,
    mean_and_maximum,
)


class _PathBranch(nn.Module):
    """Gated recurrent units along the path (Cho et al., arXiv 1406.1078), half the width each way."""

    def __init__(self, n_channels: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        each_way = max(width // 2, 1)
        self.width = 2 * each_way
        self.body = nn.GRU(
            n_channels,
            each_way,
            num_layers=layers,
            batch_first=True,
            bidirectional=True,
            # Between layers alone: torch warns where there is but one.
            dropout=dropout if layers > 1 else 0.0,
        )

    def forward(self, value: Tensor) -> Tensor:
        features, _ = self.body(value.transpose(1, 2))
        return mean_and_maximum(features.transpose(1, 2))


class RecurrentNetwork(BranchedNetwork):
    """One branch a descriptor group, concatenated and mapped to one number by a small head.

    ``channels`` is the width of an image branch, ``blocks`` how many recurrent layers it has, at least one.
    """

    def __init__(self, shape: NetworkShape) -> None:
        settings = shape.settings
        branches: dict[str, nn.Module] = {}
        width = 0
        for name, size in shape.inner_sizes.items():
            if len(size) == IMAGE_NDIM:
                layers = max(settings.blocks, 1)
                branch = _PathBranch(size[0], settings.channels, layers, settings.dropout)
                branches[name] = branch
                width += 2 * branch.width
            else:
                branches[name] = VectorBranch(size[0], settings.hidden, settings.dropout)
                width += settings.hidden
        super().__init__(branches, width, shape)
