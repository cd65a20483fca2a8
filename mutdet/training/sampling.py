"""Order of the tiles: one shuffled pass after the other, cut into batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from torch.utils.data import Dataset

from mutdet.settings.seeds import generator_for

SampleType = TypeVar("SampleType", covariant=True)


@dataclass(frozen=True)
class Draw:
    """One tile to be read: its number in the index, and in which pass over the data."""

    tile: int
    epoch: int


class DrawnDataset(Dataset[SampleType], ABC):
    """Samples that are asked for by `Draw`, as many as there are tiles."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of tiles."""

    @abstractmethod
    def __getitem__(self, draw: Draw) -> SampleType:
        """Sample of a draw; the same in every process."""


class BatchOrder:
    """Batches from a step to the end of a training; the same whichever step it begins with.

    Passes over the data follow each other without a gap, so that every batch is full: one may end a pass and begin the next.
    `part` is which of how many equal parts of every batch is given, one for each process of a training.
    """

    def __init__(self, tiles: int, batch: int, steps: int, seed: int, stage: str, start: int = 0, part: tuple[int, int] = (0, 1)) -> None:
        self._tiles, self._batch, self._steps, self._start = tiles, batch, steps, start
        self._seed, self._stage, self._part = seed, stage, part

    def __len__(self) -> int:
        return self._steps - self._start

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, order = -1, []
        part, parts = self._part
        share = self._batch // parts
        for step in range(self._start, self._steps):
            batch = []
            for number in range(step * self._batch, (step + 1) * self._batch):
                if number // self._tiles != epoch:
                    epoch = number // self._tiles
                    order = generator_for(self._seed, self._stage, "order", epoch).permutation(self._tiles).tolist()
                batch.append(Draw(order[number % self._tiles], epoch))
            yield batch[part * share : (part + 1) * share]
