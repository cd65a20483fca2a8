"""Mask generator `sam`: which model, decoder and generator the settings ask for."""

from collections.abc import Callable

import torch
from segment_anything.modeling import Sam

from mutdet.proposals.automatic_masks import AutomaticMasks
from mutdet.proposals.decoders import Decoder, FusedDecoder, StockDecoder
from mutdet.proposals.mask import Image, Mask, MaskGenerator
from mutdet.proposals.sam_weights import load_sam
from mutdet.proposals.stock_masks import StockMasks
from mutdet.settings.proposals.sam_generator import SamSettings

_DECODERS: dict[str, Callable[[Sam], Decoder]] = {"stock": StockDecoder, "fused": FusedDecoder}


class SamGenerator:
    """Automatic masks of a Segment Anything model on one device."""

    def __init__(self, settings: SamSettings, device: torch.device) -> None:
        sam = load_sam(settings.model, settings.weights, settings.sha256).to(device)
        self._generator: MaskGenerator
        if settings.uses_stock_generator:
            self._generator = StockMasks(sam, settings)
        else:
            self._generator = AutomaticMasks(sam, _DECODERS[settings.decoder](sam), settings)

    def generate(self, image: Image, tile_id: str) -> list[Mask]:
        """Masks of an RGB image [H, W, 3]; see `MaskGenerator.generate`."""
        return self._generator.generate(image, tile_id)
