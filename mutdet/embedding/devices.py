"""The device of a forward pass, set up so that equal inputs give equal outputs."""

import os
from functools import cache

import torch

from mutdet.embedding.freed_memory import keep_freed_memory
from mutdet.embedding.gpu_locks import lock_folder, take_gpu
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError


def prepare_device(runtime: Runtime) -> torch.device:
    """Device that the runtime settings name: one CPU thread (parallelism is over shards), or CUDA in full float32.

    The GPU is this process's own until it ends; where all that it may use are taken, it waits for one.

    Raises:
        UserError: CUDA is asked for and there is none.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda is asked for, but PyTorch sees none", remedy="set device to auto or cpu")
    if runtime.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if runtime.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    device = torch.device("cuda", _own_gpu())
    torch.cuda.set_device(device)
    return device


@cache
def _own_gpu() -> int:
    """Number, as PyTorch counts, of the GPU that this process has locked; a second lock in the same process would wait for the first."""
    return take_gpu(_gpu_names(), lock_folder())


def _gpu_names() -> list[str]:
    """UUID of each GPU that PyTorch sees, which under SLURM are those of the job alone."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    # Parts of one GPU (MIG) may report that GPU's UUID; the variable tells them apart.
    if all(name.startswith("MIG-") for name in visible):
        return [name.replace("/", "_") for name in visible]
    return [str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count())]
