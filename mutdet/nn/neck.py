"""Neck: backbone features of different widths to a pyramid of one width."""

from collections.abc import Sequence

from torch import Tensor, nn

from mutdet.settings.detectors import NORM_GROUPS


def _block(channels: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.xavier_uniform_(convolution.weight)
    # Two channels a group at least: the last level of a small tile is a single cell, and one number has no variance.
    return nn.Sequential(convolution, nn.GroupNorm(min(NORM_GROUPS, width // 2), width))


class ChannelMapper(nn.Module):
    """1x1 convolution with group normalisation per backbone level; further levels by strided 3x3 convolutions from the last."""

    def __init__(self, channels: Sequence[int], width: int, levels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_block(count, width, 1, 1) for count in channels)
        extra = [channels[-1], *[width] * (levels - len(channels))]
        self.extra = nn.ModuleList(_block(count, width, 3, 2) for count in extra[: levels - len(channels)])

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Features [B, channels, rows, columns] of stride 8, 16, 32 to L maps [B, width, rows, columns]."""
        maps = [block(feature) for block, feature in zip(self.lateral, features, strict=True)]
        last = features[-1]
        for block in self.extra:
            last = block(last)
            maps.append(last)
        return maps
