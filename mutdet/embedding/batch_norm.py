"""Statistics of batch normalisation, estimated on given images."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def estimate_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set running mean and variance of every batch normalisation to the average over batches.

    Depends on the batches and their order alone, not on earlier statistics. The network is left in evaluation mode.

    Args:
        network: any network; one without batch normalisation is left as it is.
        batches: normalised images [B, 3, H, W], B * H * W large enough that the last features have several pixels.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    for images in batches if layers else ():
        network(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        if layer.num_batches_tracked is not None:
            layer.num_batches_tracked.zero_()
    network.eval()
