"""The device of a forward pass, set up so that equal inputs give equal outputs."""

import torch

from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError


def prepare_device(runtime: Runtime) -> torch.device:
    """Device that the runtime settings name: one CPU thread (parallelism is over shards), or CUDA in full float32.

    Raises:
        UserError: CUDA is asked for and there is none.
    """
    torch.set_num_threads(1)
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda is asked for, but PyTorch sees none", remedy="set device to auto or cpu")
    if runtime.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda")
