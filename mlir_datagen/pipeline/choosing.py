"""Which programs of several datasets are in the one that is made of them: each once, and in one split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlir_datagen.dataset.paths import is_drawn
from mlir_datagen.errors import UserError, shown
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.pipeline.parents import ParentDataset, Parents
from mlir_datagen.programs.content import canonical_order
from mlir_datagen.programs.production import Progress
from mlir_datagen.programs.program import EXTRACTED, NETWORK, NETWORKS_SPLIT
from mlir_datagen.programs.spec import parse_spec
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.sameness import WITHOUT_BODY, compared, sameness_of_any, short_key

ROWS = 2048
"""How many rows are in memory at once, and in a row group of what is written."""

STAGES = ("unique", "unseen")
"""What a program of a parent passes."""


@dataclass
class Choice:
    """Which programs are kept.

    Attributes:
        kept: for each parent's number and split, whether each of its programs is, in order.
        dropped: for each parent, how many are not, by stage.
    """

    kept: dict[tuple[int, str], NDArray[np.bool_]] = field(default_factory=dict)
    dropped: list[Counter[str]] = field(default_factory=list)

    def size(self, split: str) -> int:
        """Return how many programs a split has."""
        return sum(int(kept.sum()) for (_, of), kept in self.kept.items() if of == split)


def choose(parents: Parents, unseen: Decontamination, progress: Progress) -> Choice:
    """Choose from the programs of all parents; only digests of them are held.

    What is listed comes first, since nothing that is drawn may compute the same. Of drawn splits the smallest comes
    first: what is in two of them, as where proportions differ, stays what it is evaluated on.

    Args:
        parents: the datasets.
        unseen: what no drawn program may compute, besides what is listed, which it takes in.
        progress: called with the number of programs that were just looked at.

    Raises:
        UserError: when a parent is damaged, or two list different programs under one name.
    """
    choosing = _Choosing(parents, unseen, progress)
    sizes = parents.sizes
    for split in sizes:
        if not is_drawn(split):
            choosing.listed(split)
    for split in reversed(canonical_order({split: size for split, size in sizes.items() if is_drawn(split)})):
        choosing.drawn(split)
    return choosing.choice


class _Choosing:
    """What is known of the programs that were looked at."""

    def __init__(self, parents: Parents, unseen: Decontamination, progress: Progress) -> None:
        self.choice = Choice(dropped=[Counter() for _ in parents.datasets])
        self._parents, self._unseen, self._progress = parents, unseen, progress
        self._hasher = ProgramHasher()
        families = {
            family
            for parent in parents.datasets
            for split, counts in parent.manifest["counts"].items()
            for family in counts
            if is_drawn(split)
        }
        self._sameness = sameness_of_any(families, parents.config.forms)
        self._drawn: set[bytes] = set()
        self._all_listed: set[str] = set()
        self._own_listed: list[set[str]] = [set() for _ in parents.datasets]

    def listed(self, split: str) -> None:
        """Choose from a split whose programs were listed, and keep them out of those that are drawn."""
        names: dict[str, tuple[str, ParentDataset]] = {}
        seen: set[str] = set()
        texts: list[str] = []
        for number, parent, tables in self._tables(split):
            kept = []
            for table in tables:
                columns = (table.column(name).to_pylist() for name in ("name", "family", "sha256", "mlir"))
                for name, family, digest, text in zip(*columns, strict=True):
                    is_new = self._is_new(split, parent, name, digest, text, names, seen)
                    kept.append(is_new)
                    if family == NETWORK or split == NETWORKS_SPLIT:
                        continue
                    self._own_listed[number].add(digest)
                    if is_new:
                        texts.append(text)
            self._add(number, split, kept, ["unique"] * kept.count(False))
        if split != NETWORKS_SPLIT:
            described = self._parents.having(split)[0][1].against.get(split, {})
            self._unseen.add(
                split, texts, **{key: described[key] for key in ("version", "digest", "size") if key in described}
            )
        self._all_listed |= set().union(*self._own_listed)

    def drawn(self, split: str) -> None:
        """Choose from a split whose programs were drawn."""
        for number, parent, tables in self._tables(split):
            # What a parent lists it keeps out itself.
            looks = bool(self._parents.fresh) or self._own_listed[number] != self._all_listed
            kept, stages = [], []
            for table in tables:
                texts = table.column("mlir").to_pylist()
                for place, (key, text) in enumerate(zip(self._keys(split, parent, table), texts, strict=True)):
                    stage = None
                    if key in self._drawn:
                        stage = "unique"
                    elif looks and self._refused(split, parent, table, place, text):
                        stage = "unseen"
                    self._drawn.add(key)
                    kept.append(stage is None)
                    if stage is not None:
                        stages.append(stage)
            self._add(number, split, kept, stages)

    def _tables(self, split: str) -> Iterator[tuple[int, ParentDataset, Iterator[Any]]]:
        """Yield each parent that has a split, with its number and its rows, some at a time."""
        for number, parent in self._parents.having(split):
            yield number, parent, self._rows(parent, split)

    def _rows(self, parent: ParentDataset, split: str) -> Iterator[Any]:
        for table in parent.dataset.tables(split, ROWS):
            yield parent.dataset.with_texts(split, table)
            self._progress(len(table))

    def _add(self, number: int, split: str, kept: Sequence[bool], stages: Sequence[str]) -> None:
        self.choice.kept[number, split] = np.array(kept, np.bool_)
        self.choice.dropped[number].update(stages)

    def _is_new(
        self,
        split: str,
        parent: ParentDataset,
        name: str,
        digest: str,
        text: str,
        names: dict[str, tuple[str, ParentDataset]],
        seen: set[str],
    ) -> bool:
        """Tell whether a listed program is not there yet; what is taken out of networks is numbered anew."""
        if split == EXTRACTED:
            key = self._computed(split, parent, name, text)
        else:
            before, other = names.setdefault(name, (digest, parent))
            if before != digest:
                raise UserError(
                    f"{split}/{name} is another program in {other.dataset.folder} than in {parent.dataset.folder}, and "
                    "in one dataset a name is one program. Leave one of them out, or make it again with the settings "
                    "of the other: its models, converter and suites."
                )
            # A suite stays whole; a whole network is there once, under whatever name.
            key = digest if split == NETWORKS_SPLIT else name
        is_new = key not in seen
        seen.add(key)
        return is_new

    def _keys(self, split: str, parent: ParentDataset, table: Any) -> Iterator[bytes]:
        """Yield what drawn programs have in common with equal ones."""
        digests, families = (table.column(name).to_pylist() for name in ("sha256", "family"))
        if unknown := set(families) - set(PROGRAM_FAMILIES):
            raise UserError(
                f"{parent.dataset.folder} is damaged: {split} has the family {shown(min(unknown, key=str))}, which is "
                "no op. Generate the dataset again."
            )
        if self._sameness is None:
            yield from map(short_key, digests)
            return
        names, texts, specs = (table.column(name).to_pylist() for name in ("name", "mlir", "spec"))
        operations = pc.list_value_length(table.column("nodes")).to_pylist()
        for name, family, text, spec, count in zip(names, families, texts, specs, operations, strict=True):
            try:
                if family in WITHOUT_BODY:
                    text = compared(PROGRAM_FAMILIES[family], parse_spec(family, spec), text)
                yield short_key(self._sameness.key(family, count or 0, text, self._hasher))
            except UserError as error:
                raise _unreadable(split, parent, name, error) from error

    def _refused(self, split: str, parent: ParentDataset, table: Any, place: int, text: str) -> bool:
        try:
            return self._unseen.refused(text) is not None
        except UserError as error:
            raise _unreadable(split, parent, table.column("name")[place].as_py(), error) from error

    def _computed(self, split: str, parent: ParentDataset, name: str, text: str) -> str:
        try:
            return self._hasher.hash(text)
        except UserError as error:
            raise _unreadable(split, parent, name, error) from error


def _unreadable(split: str, parent: ParentDataset, name: str, error: UserError) -> UserError:
    return UserError(f"{split}/{name} of {parent.dataset.folder} is no program of a dataset: {error}")
