"""Features of a frozen backbone, kept for the next time that an image comes."""

import hashlib

import torch
from torch import Tensor

from mutdet.nn.backbones import Backbone

KEPT_BYTES = 1 << 30
"""Features that a process keeps."""


class FeatureMemory:
    """Runs backbones; while nothing of it trains, an image that came before costs no pass through it.

    Flipped tiles of a small data set come again and again, and a frozen backbone takes half of a training step on a CPU. Images go through alone, so that
    features depend on no other image and on nothing that came before: a training that is resumed, with an empty memory, gets the same bits.
    The images that came first stay, for in a random order all are as likely to come again.
    Other devices, where computing is cheap and memory scarce, keep nothing.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, list[Tensor]] = {}
        self._room = KEPT_BYTES
        self._weights: list[tuple[int, int]] = []

    def features(self, backbone: Backbone, images: Tensor) -> list[Tensor]:
        """Maps of stride 8, 16 and 32 that a backbone gives of images [B, 3, H, W]."""
        if backbone.extent != "nothing" or images.device.type != "cpu":
            maps: list[Tensor] = backbone(images)
            return maps
        self._forget_other_weights(backbone)
        return [torch.cat(level) for level in zip(*(self._of(backbone, image[None]) for image in images), strict=True)]

    def _of(self, backbone: Backbone, image: Tensor) -> list[Tensor]:
        key = _digest(image)
        if key in self._kept:
            return self._kept[key]
        with torch.no_grad():
            maps: list[Tensor] = backbone(image)
        size = sum(level.nbytes for level in maps)
        if size <= self._room:
            self._room -= size
            self._kept[key] = maps
        return maps

    def _forget_other_weights(self, backbone: Backbone) -> None:
        weights = [(tensor.data_ptr(), tensor._version) for tensor in (*backbone.parameters(), *backbone.buffers())]
        if weights != self._weights:
            self._kept, self._room, self._weights = {}, KEPT_BYTES, weights


def _digest(image: Tensor) -> bytes:
    """Hash of the pixels, their type and shape, and the precision in which they will be looked at."""
    precision = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
    digest = hashlib.sha1(f"{tuple(image.shape)} {image.dtype} {precision}".encode(), usedforsecurity=False)
    digest.update(image.detach().contiguous().numpy().tobytes())
    return digest.digest()
