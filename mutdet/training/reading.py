"""Batches read ahead in other processes, errors included."""

import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

from mutdet.settings.errors import UserError
from mutdet.training.sampling import Draw, DrawnDataset
from mutdet.training.stopping import ignore_stop_signals

BatchType = TypeVar("BatchType")


def read_batches(
    dataset: DrawnDataset[Any], order: Iterable[list[Draw]], collate: Callable[[Sequence[Any]], BatchType], workers: int
) -> Generator[BatchType, None, None]:
    """Batches in the order given; to be closed, which ends the reading processes.

    Args:
        dataset: gives samples.
        order: draws of each batch.
        collate: makes a batch of samples.
        workers: processes that read; 0 reads in this one.

    Raises:
        UserError: of reading a sample, as it was raised.
        RuntimeError: any other error of reading, with its traceback.
    """
    loader = DataLoader(_WholeBatches(dataset, collate), batch_sampler=order, collate_fn=_as_it_is, num_workers=workers, worker_init_fn=ignore_stop_signals)
    for batch in loader:
        if isinstance(batch, _Failure):
            raise UserError(batch.message) if batch.of_user else RuntimeError(f"a batch cannot be read\n{batch.message}")
        yield batch


@dataclass(frozen=True)
class _Failure:
    """What is sent in place of a batch that cannot be read.

    Raised in a reading process, an error would come back as one whose traceback holds on to the loader; that then neither ends its processes nor,
    since they ignore a scheduler's signals, can it be waited for.
    """

    message: str
    of_user: bool


class _WholeBatches(Dataset[Any], Generic[BatchType]):
    """Batches by their draws."""

    def __init__(self, dataset: DrawnDataset[Any], collate: Callable[[Sequence[Any]], BatchType]) -> None:
        self._dataset, self._collate = dataset, collate

    def __getitems__(self, draws: list[Draw]) -> BatchType | _Failure:
        try:
            return self._collate([self._dataset[draw] for draw in draws])
        except UserError as error:
            return _Failure(str(error), of_user=True)
        except Exception:  # Whatever it is, it must reach the training process, which raises it.
            return _Failure(traceback.format_exc(), of_user=False)


def _as_it_is(batch: Any) -> Any:
    return batch
