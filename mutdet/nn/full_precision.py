"""Parts of a network that stay in float32 under autocast: where a position or an angle would be blurred, and losses."""

import torch
from torch import Tensor, nn


def full_precision(device: torch.device) -> torch.autocast:
    """Context in which nothing is cast to half precision; casting what comes in is the caller's."""
    return torch.autocast(device.type, enabled=False)


def at_least_single(tensor: Tensor) -> Tensor:
    """Half precision as float32, anything else as it is."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


class FullPrecisionLinear(nn.Linear):
    """Linear layer that computes in float32 where autocast would use half precision."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        with full_precision(input.device):
            return super().forward(at_least_single(input))
