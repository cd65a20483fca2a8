"""Image encoder of the small SAM: a residual network with a feature pyramid, and a head that says where objects are."""

import torch
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 8
PEAK_STRIDE = 4
_GROUPS = 8
_RARE = -4.0
"""Logit that centres of objects begin with: few cells hold one."""


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.GroupNorm(_GROUPS, outputs),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut; keeps the shape [B, C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.GroupNorm(_GROUPS, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Add to x [B, C, H, W] what the block computes."""
        return functional.relu(x + self.second(self.first(x)))


class SmallEncoder(nn.Module):
    """Convolutional image encoder with the interface of segment-anything's ViT.

    Strides 4 to 32 are joined by a top-down pyramid into one map of stride 8; the map of stride 4 enters folded
    (2 x 2 cells into channels), so that objects a few pixels wide stay apart.

    Args:
        size: side of the square input, pixels; the name `img_size` is what `Sam` asks for.
        width: channels of the output, the decoder's width.
        channels: channels at strides 2, 4, 8, 16 and 32.
    """

    def __init__(self, size: int = 256, width: int = 128, channels: tuple[int, ...] = (32, 64, 96, 128, 192)) -> None:
        super().__init__()
        self.img_size = size
        c2, c4, c8, c16, c32 = channels
        self.to4 = nn.Sequential(_conv(3, c2, stride=2), _conv(c2, c4, stride=2), ResidualBlock(c4))
        self.to8 = nn.Sequential(_conv(c4, c8, stride=2), ResidualBlock(c8), ResidualBlock(c8))
        self.to16 = nn.Sequential(_conv(c8, c16, stride=2), ResidualBlock(c16))
        self.to32 = nn.Sequential(_conv(c16, c32, stride=2), ResidualBlock(c32))
        self.lateral4 = nn.Conv2d(4 * c4, width, 1)
        self.lateral8 = nn.Conv2d(c8, width, 1)
        self.lateral16 = nn.Conv2d(c16, width, 1)
        self.lateral32 = nn.Conv2d(c32, width, 1)
        self.neck = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, 1, 1, bias=False), LayerNorm2d(width))
        self.peaks4 = nn.Conv2d(c4, width // 4, 1)
        self.peaks8 = nn.Conv2d(width, width, 1)
        last = nn.Conv2d(width // 4, 1, 1)
        last.bias = nn.Parameter(torch.full((1,), _RARE))
        self.peak_head = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(width // 4, width // 4, 3, 1, 1), nn.ReLU(inplace=True), last)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised image [B, 3, S, S] to tokens [B, width, S / 8, S / 8]."""
        return self.tokens_and_peaks(image)[0]

    def tokens_and_peaks(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens as `forward` gives them, and logits [B, S / 4, S / 4] that are high at the centres of objects."""
        at4 = self.to4(image)
        at8 = self.to8(at4)
        at16 = self.to16(at8)
        down = self.lateral16(at16) + functional.interpolate(self.lateral32(self.to32(at16)), scale_factor=2.0)
        joined = self.lateral8(at8) + functional.interpolate(down, scale_factor=2.0)
        tokens = self.neck(joined + self.lateral4(functional.pixel_unshuffle(at4, 2)))
        peaks = self.peak_head(self.peaks4(at4) + functional.pixel_shuffle(self.peaks8(tokens), 2))
        return tokens, peaks[:, 0]
