"""Geometry of the flattened feature pyramid: which token lies where in which image."""

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor


@dataclass(frozen=True)
class FeatureLevels:
    """Layout of the K tokens of a batch of images that may differ in size.

    Attributes:
        shapes: (rows, columns) of every level, large enough for every image of the batch.
        cells: [B, L, 2] rows and columns that each image fills; the rest is padding.
        sizes: [B, 2] height and width of the images without padding, pixels.
    """

    shapes: tuple[tuple[int, int], ...]
    cells: Tensor
    sizes: Tensor

    @property
    def starts(self) -> tuple[int, ...]:
        """First token of every level."""
        return (0, *accumulate(rows * columns for rows, columns in self.shapes))[:-1]

    @property
    def valid_ratios(self) -> Tensor:
        """[B, L, 2] share of a level's (width, height) that the image fills."""
        return (self.cells / self.cells.new_tensor(self.shapes)).flip(-1).float()

    @property
    def padding_mask(self) -> Tensor:
        """[B, K] True for tokens outside the image."""
        return torch.cat([self._level_padding(level) for level in range(len(self.shapes))], dim=1)

    def _level_padding(self, level: int) -> Tensor:
        rows, columns = (torch.arange(count, device=self.cells.device) for count in self.shapes[level])
        outside_rows = rows[None, :, None] >= self.cells[:, level, 0, None, None]
        outside_columns = columns[None, None, :] >= self.cells[:, level, 1, None, None]
        return (outside_rows | outside_columns).flatten(1)

    def centres(self) -> Tensor:
        """[B, K, 2] (x, y) of cell centres, 0 to 1 within each image; padding lies beyond 1."""
        return torch.cat([self._level_centres(level) for level in range(len(self.shapes))], dim=1)

    def _level_centres(self, level: int) -> Tensor:
        rows, columns = self.shapes[level]
        device = self.cells.device
        y, x = torch.meshgrid(torch.arange(rows, device=device) + 0.5, torch.arange(columns, device=device) + 0.5, indexing="ij")
        cells = self.cells[:, level].float()
        return torch.stack([x.flatten()[None] / cells[:, 1, None], y.flatten()[None] / cells[:, 0, None]], dim=-1)
