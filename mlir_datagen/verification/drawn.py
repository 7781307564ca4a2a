"""What the programs that were drawn from grids must be: all follows from the config and from what was rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mlir_datagen.config import RunConfig
from mlir_datagen.ops.program_family import AnyFamily, AnySpec
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.programs.spec import spec_json
from mlir_datagen.sources.quotas import Quota
from mlir_datagen.sources.random_ops import RandomOps, RandomTask


class Drawing:
    """Draws a run's programs again, without making them.

    Args:
        config: the run's config.
        rejected: what the run rejected.

    Attributes:
        quotas: what each family was asked for and had.
        lost: how many of the drawn programs were rejected, by split.

    Raises:
        UserError: when the config's grids do not have the programs.
    """

    def __init__(self, config: RunConfig, rejected: Sequence[Rejected]) -> None:
        self._config = config
        self._rejected: dict[str, set[tuple[str, str]]] = {split: set() for split in config.splits}
        for one in rejected:
            self._rejected.get(one.split, set()).add((one.family, one.spec))
        self._tasks: dict[str, list[RandomTask]] = {split: [] for split in config.splits}
        self.quotas: Sequence[Quota] = []
        self.lost: Counter[str] = Counter()
        if config.ops:
            self._source = RandomOps(config.random_settings)
            self._plan()

    def _plan(self) -> None:
        """Plan as the run did: what makes up for rejected programs follows from how many there were."""
        missing = dict(self._config.splits)
        taken: Counter[tuple[str, str]] = Counter()
        while missing:
            plan = self._source.plan(missing, taken)
            self.quotas = self.quotas or plan.quotas
            lost: Counter[str] = Counter()
            for task in plan.tasks:
                self._tasks[task.split].append(task)
                if self._rejected[task.split]:
                    lost[task.split] += sum(not self._is_kept(task.split, *one) for one in task.specs())
            for quota in plan.quotas:
                taken[quota.split, quota.family] += quota.planned
            self.lost += lost
            missing = {split: number for split in missing if (number := lost[split])}

    def _is_kept(self, split: str, family: AnyFamily, spec: AnySpec) -> bool:
        return (family.name, spec_json(spec)) not in self._rejected[split]

    def programs(self, split: str) -> Iterator[tuple[AnyFamily, AnySpec]]:
        """Yield family and spec of each program of a split, in order."""
        for task in self._tasks[split]:
            for family, spec in task.specs():
                if not self._rejected[split] or self._is_kept(split, family, spec):
                    yield family, spec
