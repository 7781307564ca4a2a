"""What every source is: something that plans tasks, and makes the programs of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from mlir_datagen.dataset.results import TaskResult
from mlir_datagen.errors import UserError
from mlir_datagen.mlir.bounds import nesting_problem
from mlir_datagen.programs.batch import Batch
from mlir_datagen.sources.quotas import Quota

Task = TypeVar("Task")
Taken = Mapping[tuple[str, str], int]
"""How many programs of each (split, family) earlier plans have taken."""


@dataclass(frozen=True)
class Plan(Generic[Task]):
    """What a source is to make next.

    Attributes:
        tasks: in the order in which their programs are written.
        quotas: what each family was asked for in each split that is to be filled; none where programs are listed.
    """

    tasks: Sequence[Task]
    quotas: Sequence[Quota] = ()

    @property
    def total(self) -> int:
        """How many programs fill the splits."""
        return sum(quota.planned for quota in self.quotas)


class Source(Protocol[Task]):
    """Where programs come from.

    A task can be pickled, and follows from the source's own settings, what was asked for and what was taken. It has all
    that its programs are made from, and no more: what `produce` makes of it depends on the task alone, not on the
    source, other tasks, their order, the thread or the process. So it is a static method, and any executor may do
    tasks at once; each has contexts of MLIR of its own. Only networks, which may crash what they are converted in, have
    processes of their own instead, and a method that waits for one of these.

    Sources of two kinds share this. One fills splits: it is asked for as many programs as each still lacks, again and
    again while programs are rejected, and goes on after those that earlier plans took. Grids do so; graphs that are
    drawn may, where program i of a family follows from (seed, family, i): the plan draws their specs, which is cheap,
    up to the i that it needs, as the split follows from the spec; a task is a split, a family and some i. The other
    kind lists its programs, whatever is asked for: networks, what is taken out of them, suites. Nothing makes up for
    one that is rejected.
    """

    def plan(self, sizes: Mapping[str, int], taken: Taken | None = None) -> Plan[Task]:
        """Plan the next programs.

        Args:
            sizes: how many programs each split is to get; none for a source that lists its programs.
            taken: how many of them earlier plans have taken.

        Raises:
            UserError: when the source has not enough programs left.
        """

    def produce(self, task: Task) -> Batch:
        """Make a task's programs, parsed and verified, or say why there is none.

        Raises:
            UserError: when there is nothing to be had from the source, whatever else is made.
        """

    def fits(self, task: Task, result: TaskResult, weights: Collection[str]) -> bool:
        """Tell whether something that was read can be what became of a task, without making that.

        Args:
            task: the task.
            result: what was read, of the right form.
            weights: the names of the networks whose weights are there.
        """

    def restore(self, task: Task, result: TaskResult) -> None:
        """Take in what became of a task of this plan in an earlier run, where later ones hang on it."""

    def parts(self, task: Task) -> Sequence[Task]:
        """Return smaller tasks that together make a task's programs, in order; none where it has one alone."""

    def ended(self, task: Task, reason: str) -> Batch:
        """Return what becomes of a task without parts that ends the processes which it is done in.

        Raises:
            UserError: when that is a reason to stop.
        """


class Listed(NamedTuple):
    """What is known of what becomes of a listed task.

    Attributes:
        split: the split.
        kept_out: what the manifest says of the programs.
        names: of the programs and of the rejected ones; None where they are not known.
        weights: the names of the networks whose weights must be there.
    """

    split: str
    kept_out: Mapping[str, Any] | None
    names: Collection[str] | None = None
    weights: Collection[str] = ()


class ListedSource:
    """What sources that list their programs have in common: a task is done as a whole."""

    def fits(self, task: Any, result: TaskResult, weights: Collection[str]) -> bool:
        """Tell whether these can be a task's programs."""
        must = self.must_be(task, result)
        own = result.strings("own_name")
        return (
            (result.split, result.kept_out, set(weights)) == (must.split, must.kept_out, set(must.weights))
            and None not in own
            and len(set(own)) == len(own)
            and (must.names is None or {*own, *(one.name for one in result.rejected)} == set(must.names))
            # They are parsed where other programs are compared with them.
            and not any(map(nesting_problem, result.strings("mlir")))
        )

    def must_be(self, task: Any, result: TaskResult) -> Listed:
        """Return what is known of a task's result before it is there; or follows from other parts of it."""
        raise NotImplementedError

    def restore(self, task: Any, result: TaskResult) -> None:
        """Do nothing: no later task hangs on it."""

    def parts(self, task: Any) -> Sequence[Any]:
        """Return none."""
        return ()

    def ended(self, task: Any, reason: str) -> Batch:
        """Stop the run."""
        raise UserError(
            f"A worker process that made listed programs was ended by what it did, twice: {reason}. Nothing was left "
            "behind. With executor=serial, they are made in the process of the run, which shows what happens."
        )
