"""Images through the encoder of a Segment Anything model, several at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor, nn

from mutdet.proposals.mask import Image, Size
from mutdet.proposals.small_encoder import SmallEncoder
from mutdet.settings.proposals.sam_generator import SamSettings

Encoding = Callable[[Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Encoded:
    """An encoded image.

    Attributes:
        size: height and width of the image.
        input_size: height and width that it has in the model's padded input.
        embedding: [1, C, H, W].
        centres: [S / 4, S / 4] logits of the small encoder's map of object centres; none from other encoders.
    """

    size: Size
    input_size: Size
    embedding: Tensor
    centres: Tensor | None


class ImageEncoder:
    """Resizes, pads and encodes images as segment-anything does.

    Args:
        sam: model on its device.
        settings: images encoded at a time, whether the map of object centres is asked for, whether the encoder is compiled.
    """

    def __init__(self, sam: Sam, settings: SamSettings) -> None:
        self._sam, self._batch = sam, settings.tiles_per_batch
        encoder = sam.image_encoder
        self._encode: Encoding = encoder.tokens_and_peaks if settings.peaks and isinstance(encoder, SmallEncoder) else partial(_without_centres, encoder)
        if settings.compile:
            self._encode = torch.compile(self._encode)
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)

    def encode(self, images: Sequence[Image]) -> list[Encoded]:
        """Encode RGB images [H, W, 3] of any sizes, in their order."""
        found: list[Encoded] = []
        for start in range(0, len(images), self._batch):
            found += self._together(images[start : start + self._batch])
        return found

    def _together(self, images: Sequence[Image]) -> list[Encoded]:
        resized = [self._resize.apply_image(image) for image in images]
        prepared = [self._prepared(image) for image in resized]
        # A last batch that is not full is filled up: one shape, so that nothing is compiled twice.
        embeddings, centres = self._encode(torch.cat(prepared + prepared[-1:] * (self._batch - len(prepared))))
        return [
            Encoded((image.shape[0], image.shape[1]), (small.shape[0], small.shape[1]), embeddings[i : i + 1].float(), None if centres is None else centres[i])
            for i, (image, small) in enumerate(zip(images, resized, strict=True))
        ]

    def _prepared(self, image: Image) -> Tensor:
        pixels = torch.as_tensor(image, device=self._sam.device).permute(2, 0, 1).contiguous()[None]
        prepared: Tensor = self._sam.preprocess(pixels)
        return prepared


def _without_centres(encoder: nn.Module, prepared: Tensor) -> tuple[Tensor, None]:
    return encoder(prepared), None
