"""A dataset's programs for PyTorch, by number or as a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset, get_worker_info

from mlir_datagen.errors import UserError, listed, nearest, shown
from mlir_datagen.loading.torch_batches import Batch, Collating, Encoder, Sample

if TYPE_CHECKING:
    from mlir_datagen.loading.programs import Programs

_ROWS_AT_A_TIME = 1024


class TorchPrograms(Dataset):
    """Programs by number, with their columns in memory, which the workers of a loader share.

    Args:
        programs: the programs.
        columns: columns, or parts of them; all when left out.
        settings: those of `Collating`.
    """

    def __init__(self, programs: Programs, columns: Sequence[str] | None = None, **settings: Any) -> None:
        self._encoder = Encoder(programs.schema, columns, _collating(settings))
        self._table = programs.table(self._encoder.columns).combine_chunks()

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Sample:
        (sample,) = self.__getitems__([index])
        return sample

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return several samples at once, which loaders ask for."""
        wanted = np.asarray(indices, np.int64)
        if ((wanted < -len(self)) | (wanted >= len(self))).any():
            raise IndexError(f"There are {len(self)} programs, from 0 on.")
        return list(self._encoder.samples(self._table.take(wanted % len(self)).combine_chunks()))

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """Return a batch of samples, for a loader's `collate_fn`."""
        return self._encoder.collate(samples)

    def loader(
        self,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        workers: int = 0,
        drop_last: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> Any:
        """Return a loader of batches, of this rank's share where there are several.

        Args:
            batch_size: programs in a batch.
            shuffle: whether their order changes; for another one in each epoch, `loader.sampler.set_epoch(epoch)`.
            seed: decides the order.
            workers: processes that make the batches.
            drop_last: whether a last batch that is smaller is left out, and what makes shares of ranks unequal. If not,
                some programs come twice, so that all ranks have as many.
            rank: the rank. Left out, it is that of torch.distributed or, before that is started, of the variable RANK.
            world_size: how many ranks there are; of WORLD_SIZE likewise.
        """
        rank, world_size = _place(rank, world_size)
        sampler = DistributedSampler(
            self, num_replicas=world_size, rank=rank, shuffle=shuffle, seed=seed, drop_last=drop_last
        )
        return DataLoader(
            self,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=workers,
            drop_last=drop_last,
            collate_fn=self.collate,
        )


class ProgramStream(IterableDataset):
    """Programs one after another; ranks and the workers of a loader share them, so that each comes once in an epoch.

    Each reads only the row groups that its share is in, one at a time.

    Args:
        programs: the programs.
        columns: columns, or parts of them; all when left out.
        shuffle: whether the order changes from epoch to epoch: that of the row groups, and of the programs in each.
        seed: decides the order.
        rank: the rank. Left out, it is that of torch.distributed or, before that is started, of the variable RANK.
        world_size: how many ranks there are; of WORLD_SIZE likewise.
        drop_last: whether the last programs are left out that would make the shares of the ranks unequal.
        settings: those of `Collating`.
    """

    def __init__(
        self,
        programs: Programs,
        columns: Sequence[str] | None = None,
        shuffle: bool = False,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        drop_last: bool = False,
        **settings: Any,
    ) -> None:
        self._programs = programs
        self._encoder = Encoder(programs.schema, columns, _collating(settings))
        self._shuffle, self._seed, self._drop_last = shuffle, seed, drop_last
        self._rank, self._world_size = _place(rank, world_size)
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Have another order, which all ranks must be told alike."""
        self._epoch = epoch

    def __len__(self) -> int:
        first, last = self._share()
        return last - first

    def __iter__(self) -> Iterator[Sample]:
        first, last = self._share()
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        size = last - first
        mine = self._order()[first + size * number // workers : first + size * (number + 1) // workers]
        for start in range(0, len(mine), _ROWS_AT_A_TIME):
            for table in self._programs.take(mine[start : start + _ROWS_AT_A_TIME]).batches(
                columns=self._encoder.columns
            ):
                yield from self._encoder.samples(table)

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """Return a batch of samples, for a loader's `collate_fn`."""
        return self._encoder.collate(samples)

    def _share(self) -> tuple[int, int]:
        """Return from where to where this rank's share of the order goes."""
        total = len(self._programs)
        if self._drop_last:
            total -= total % self._world_size
        return total * self._rank // self._world_size, total * (self._rank + 1) // self._world_size

    def _order(self) -> NDArray[np.int64]:
        """Return the numbers of all programs in the order of this epoch, those of a row group in a row."""
        if not self._shuffle:
            return np.arange(len(self._programs))
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=(self._epoch,))))
        groups = self._programs.row_groups()
        return np.concatenate(
            [np.arange(0), *(random.permutation(groups[at]) for at in random.permutation(len(groups)))]
        )


def _collating(settings: Mapping[str, Any]) -> Collating:
    known = Collating.__dataclass_fields__
    for name in settings:
        if name not in known:
            raise UserError(f"There is no setting {shown(name)}.{nearest(name, known)} There are {listed(known)}.")
    return Collating(**settings)


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Return the rank, and how many there are."""
    if (rank is None) != (world_size is None):
        raise UserError("Of rank and world_size, one is given alone. Give both or none.")
    if rank is None or world_size is None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        rank, world_size = _variable("RANK", 0), _variable("WORLD_SIZE", 1)
    if not 0 <= rank < world_size:
        raise UserError(f"rank is {rank} and world_size {world_size}: a rank is from 0 to world_size - 1.")
    return rank, world_size


def _variable(name: str, default: int) -> int:
    """Return the whole number that a variable of the environment has."""
    value = os.environ.get(name, str(default))
    if not value.isdecimal():
        raise UserError(f"The variable {name} is {shown(value)}, and must be a whole number. Unset it, or give rank=.")
    return int(value)
