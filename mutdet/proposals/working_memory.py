"""How much the mask generator works on at a time, from the memory there is."""

import torch
from torch import Tensor

_COPIES = 8
"""Arrays of the size of an image's tokens that a decoder holds for each prompt at its peak."""
_SHARE = 0.25
"""Of a GPU's free memory that prompts may take."""
_CPU_BYTES = 1 << 28
_CPU_PIXELS, _GPU_PIXELS = 1 << 24, 1 << 26
"""Pixels of enlarged logits held at a time, four bytes each."""


def prompts_at_once(embedding: Tensor) -> int:
    """Prompts to decode together on an embedding [1, C, H, W]: as many as fit 256 MiB of main memory or a quarter of a GPU's free memory."""
    free = _SHARE * torch.cuda.mem_get_info(embedding.device)[0] if embedding.device.type == "cuda" else _CPU_BYTES
    return max(1, int(free / (_COPIES * embedding.numel() * embedding.element_size())))


def mask_pixels_at_once(device: torch.device) -> int:
    """Pixels of enlarged logits to make together."""
    return _GPU_PIXELS if device.type == "cuda" else _CPU_PIXELS
