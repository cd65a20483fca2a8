"""Several processes of one training, started by torchrun."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from mutdet.embedding.devices import prepare_device
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError


@contextmanager
def training_device(runtime: Runtime, processes: int) -> Iterator[torch.device]:
    """Device of this process of a training; while this lasts, `mutdet.nn.ranks` reaches the other processes.

    NCCL connects graphics cards, gloo processors. Every process takes a card for itself.

    Args:
        runtime: device.
        processes: number that the settings ask for.

    Raises:
        UserError: another number was started, or this machine has fewer cards than processes.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != processes:
        raise UserError(
            f"the settings ask for {processes} processes, but {started} were started",
            remedy=f"start with torchrun --standalone --nproc-per-node {processes} -m -- mutdet, or set processes to {started}",
        )
    here, cards = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if runtime.device != "cpu" and 0 < cards < here:
        raise UserError(f"{here} processes were started on a machine with {cards} graphics cards", remedy="give each a card: lower processes or raise nodes")
    device = prepare_device(runtime)
    if processes == 1:
        yield device
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()
