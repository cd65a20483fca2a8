"""Keys of earlier batches as negatives: lightly's memory bank, kept by checkpoints."""

from lightly.models.modules.memory_bank import MemoryBankModule
from torch import Tensor, nn


def persistent_bank(bank: MemoryBankModule) -> MemoryBankModule:
    """The same bank, its keys now part of `state_dict`: lightly leaves them out, and a resumed training would begin with random ones."""
    bank.register_buffer("bank", bank.bank)
    bank.register_buffer("bank_ptr", bank.bank_ptr)
    return bank


class KeyQueue(nn.Module):
    """The `size` latest keys, unit vectors; random ones before there are so many.

    Args:
        size: number of keys.
        width: their width C.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.bank = persistent_bank(MemoryBankModule((size, width)))

    def exchange(self, keys: Tensor) -> Tensor:
        """Negatives [C, size] as they stood before; keys [B, C] then take the place of the oldest ones.

        Args:
            keys: [B, C] unit vectors without a gradient.
        """
        negatives: Tensor = self.bank(keys.float(), update=True)[1]
        return negatives
