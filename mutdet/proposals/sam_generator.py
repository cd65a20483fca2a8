"""Mask generator `sam`: which model, decoder and generator the settings ask for."""

from collections.abc import Callable, Sequence

import torch
from segment_anything.modeling import Sam

from mutdet.proposals.automatic_masks import AutomaticMasks
from mutdet.proposals.decoders import Decoder, FusedDecoder, StockDecoder
from mutdet.proposals.fused_attention import fuse_attention
from mutdet.proposals.half_precision import halve_matrices
from mutdet.proposals.mask import Finish, Image, MaskGenerator
from mutdet.proposals.precision import computed_dtype
from mutdet.proposals.sam_weights import load_sam
from mutdet.proposals.stock_masks import StockMasks
from mutdet.settings.proposals.sam_generator import SamSettings

_DECODERS: dict[str, Callable[[Sam], Decoder]] = {"stock": StockDecoder, "fused": FusedDecoder}


class SamGenerator:
    """Automatic masks of a Segment Anything model on one device."""

    def __init__(self, settings: SamSettings, device: torch.device) -> None:
        self._generator = automatic_masks(load_sam(settings.model, settings.weights, settings.sha256).to(device), settings)
        self.tiles_per_batch = self._generator.tiles_per_batch

    def search(self, images: Sequence[Image], tile_ids: Sequence[str]) -> list[Finish]:
        """Find the masks of RGB images [H, W, 3]; see `MaskGenerator.search`."""
        return self._generator.search(images, tile_ids)


def automatic_masks(sam: Sam, settings: SamSettings) -> MaskGenerator:
    """Generator on a model that lies on its device; the model's layers are changed in place where the settings ask for faster ones."""
    if settings.uses_stock_generator:
        return StockMasks(sam, settings)
    if settings.encoder == "fused":
        fuse_attention(sam.image_encoder)
    halve_matrices(sam, computed_dtype(settings.precision, sam.device.type))
    return AutomaticMasks(sam, _DECODERS[settings.decoder](sam), settings)
