"""The arithmetic that a device computes a precision in."""

from functools import cache

import torch

from mutdet.settings.console import log

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@cache
def computed_precision(precision: str, device_type: str) -> str:
    """What `precision` is computed in: itself, but float32 in place of bfloat16 on a processor without instructions for it.

    There PyTorch's bfloat16 is correct and 10 to 40 times as slow as float32. The log tells so, once in a process.

    Args:
        precision: "float32", "bfloat16" or "float16".
        device_type: as `torch.device.type`.
    """
    if precision == "bfloat16" and device_type == "cpu" and not _processor_computes_bfloat16():
        log.warning("precision bfloat16 is computed in float32: this processor (%s) has no instructions for it", torch.backends.cpu.get_cpu_capability())
        return "float32"
    return precision


def computed_dtype(precision: str, device_type: str) -> torch.dtype:
    """The same as PyTorch's type."""
    return _DTYPES[computed_precision(precision, device_type)]


def arithmetic(precision: str, device: torch.device) -> torch.autocast:
    """Context in which most layers compute in `precision`, as `computed_precision` has it."""
    dtype = computed_dtype(precision, device.type)
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def _processor_computes_bfloat16() -> bool:
    """Whether oneDNN, which computes PyTorch's convolutions and matrix products, has kernels of bfloat16 for this processor."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
