"""Views of a batch for AlignDet: size, flip and one change of colours, boxes following along."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as colours

from mutdet.detectors.types import Targets
from mutdet.embedding.tile_images import MEAN, STD
from mutdet.geometry.rotated_boxes import Direction
from mutdet.geometry.rotated_boxes_torch import flip
from mutdet.nn.full_precision import full_precision
from mutdet.settings.pretraining.aligndet import AlignDetPretrainSettings

_AXES: dict[Direction, list[int]] = {"horizontal": [2], "vertical": [1], "diagonal": [1, 2]}
_STRENGTHS = 9


@dataclass(frozen=True)
class View:
    """A batch as one of two detectors sees it; object m of an image is object m of the tile.

    Attributes:
        images: [B, 3, H, W] normalised RGB, padded.
        sizes: [B, 2] height and width without padding.
        targets: of every image.
    """

    images: Tensor
    sizes: Tensor
    targets: list[Targets]


def draw_view(images: Tensor, sizes: Tensor, targets: Sequence[Targets], settings: AlignDetPretrainSettings, generators: Sequence[torch.Generator]) -> View:
    """A view of every image, drawn from its own generator on the CPU; other arguments as `View` holds them."""
    places = zip(images, sizes.tolist(), targets, generators, strict=True)
    with full_precision(images.device):
        views = [_view(image[:, :height, :width], own, settings, generator) for image, (height, width), own, generator in places]
    found = torch.tensor([view.shape[1:] for view, _ in views], device=sizes.device)
    height, width = found.amax(0).tolist()
    padded = [functional.pad(view, (0, width - view.shape[2], 0, height - view.shape[1])) for view, _ in views]
    return View(torch.stack(padded), found, [own for _, own in views])


def _view(image: Tensor, targets: Targets, settings: AlignDetPretrainSettings, generator: torch.Generator) -> tuple[Tensor, Targets]:
    scale = settings.view_scales[_draw(len(settings.view_scales), generator)]
    direction = _draw_flip(settings, generator)
    operation, strength = settings.operations[_draw(len(settings.operations), generator)], 1 + _draw(_STRENGTHS, generator)
    image, boxes = resized(image, targets.boxes, scale)
    if direction is not None:
        boxes = flip(boxes, direction, image.shape[2], image.shape[1])
        image = image.flip(_AXES[direction])
    return recoloured(image, operation, strength), replace(targets, boxes=boxes)


def resized(image: Tensor, boxes: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Image [3, H, W] and boxes [M, 5] at another scale."""
    size = [max(1, round(side * scale)) for side in image.shape[1:]]
    smaller = functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    return smaller, boxes * boxes.new_tensor([scale, scale, scale, scale, 1.0])


def recoloured(image: Tensor, operation: str, strength: int) -> Tensor:
    """A normalised image [3, H, W] after an operation on its pixels of 8 bit; strength is 1 to 9."""
    mean, std = (image.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    pixels = (image * std + mean).round().clamp(0, 255).to(torch.uint8)
    return (COLOURS[operation](pixels, strength).to(image.dtype) - mean) / std


def _factor(strength: int) -> float:
    return 1.8 * strength / 10 + 0.1


COLOURS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "identity": lambda pixels, strength: pixels,
    "autocontrast": lambda pixels, strength: colours.autocontrast(pixels),
    "equalize": lambda pixels, strength: colours.equalize(pixels),
    "solarize": lambda pixels, strength: colours.solarize(pixels, 256 * strength / 10),
    "colour": lambda pixels, strength: colours.adjust_saturation(pixels, _factor(strength)),
    "contrast": lambda pixels, strength: colours.adjust_contrast(pixels, _factor(strength)),
    "brightness": lambda pixels, strength: colours.adjust_brightness(pixels, _factor(strength)),
    "sharpness": lambda pixels, strength: colours.adjust_sharpness(pixels, _factor(strength)),
    "posterize": lambda pixels, strength: colours.posterize(pixels, 4 - int(0.4 * strength)),
}
"""Name -> pixels [3, H, W] uint8 and strength to pixels."""


def _draw(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))


def _draw_flip(settings: AlignDetPretrainSettings, generator: torch.Generator) -> Direction | None:
    chances: dict[Direction | None, float] = {
        "horizontal": settings.flip_horizontal,
        "vertical": settings.flip_vertical,
        "diagonal": settings.flip_diagonal,
    }
    chances[None] = max(0.0, 1.0 - sum(chances.values()))
    return list(chances)[int(torch.multinomial(torch.tensor(list(chances.values())), 1, generator=generator))]
