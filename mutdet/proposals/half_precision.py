"""Half precision of a Segment Anything model."""

import torch
from segment_anything.modeling import Sam
from torch import nn

_MATRICES = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def halve_matrices(sam: Sam, dtype: torch.dtype) -> None:
    """Store, in place, the matrices of encoder and decoder in `dtype`, so that autocast need not convert them for every tile.

    Norms, position codes and sums along the network stay float32, as under autocast.
    """
    for part in (sam.image_encoder, sam.mask_decoder):
        for module in part.modules():
            if isinstance(module, _MATRICES):
                module.to(dtype)
