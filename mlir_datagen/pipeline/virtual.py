"""Programs of a dataset that nobody has made: program i of a split, from the config alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.config import RunConfig
from mlir_datagen.dataset.paths import number_width
from mlir_datagen.errors import Rejection, UserError, listed, shown
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.programs.program import Program, family_program
from mlir_datagen.sources.random_ops import RandomOps
from mlir_datagen.sources.streams import SOURCE

_FIRST = 4096


class VirtualDataset:
    """The random programs of a config, each made when it is asked for, with the same bytes as in the dataset.

    Programs are planned from the first to the last that was asked for, and twice as many each time; so a program far
    behind takes longer at first, and from then on all before it take no time.

    Args:
        config: one that says by itself which programs are in its dataset: of single operations, and only parsed.

    Raises:
        UserError: for a config of which that is not known before its dataset is made.
    """

    def __init__(self, config: RunConfig) -> None:
        self._settings, self._splits = config.random_settings, config.splits
        _require_known(config)
        self._source = RandomOps(self._settings)
        self._planned: dict[str, tuple[NDArray[np.int16], NDArray[np.int64]]] = {}
        self._streams = self._settings.streams
        self._verifier = Verifier()

    def program(self, split: str, index: int) -> Program:
        """Return a program, with its name.

        Args:
            split: its split.
            index: its number there, as the column `index` has it.

        Raises:
            UserError: when there is no such split or program.
        """
        if split not in self._splits:
            raise UserError(f"There is no split {shown(split)}. The config has {listed(self._splits)}.")
        size = self._splits[split]
        if not 0 <= index < size:
            raise UserError(f"There is no program {index}: {split} has {size}, from 0 to {size - 1}.")
        variants, points = self._plan(split, index)
        stream, settings = self._streams[variants[index]], self._settings
        ((spec),) = stream.specs(points[index : index + 1], settings.seed)
        family = stream.family
        name = f"{family.name}_{index:0{number_width(size)}d}"
        made = family_program(name, SOURCE, family, spec, settings.seed, settings.forms.of(settings.seed, family, spec))
        try:
            self._verifier.verify(made.text)
        except Rejection as rejection:
            raise UserError(
                f"Program {index} of {split} is rejected ({rejection.reason}), and which takes its place is known when "
                "the dataset is made."
            ) from rejection
        return made

    def _plan(self, split: str, index: int) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """Return variant and point of each program as far as this one, or farther."""
        planned = self._planned.get(split)
        if planned is None or index >= len(planned[0]):
            count = min(self._splits[split], max(_FIRST, 1 << (index + 1).bit_length()))
            tasks = self._source.plan({split: count}).tasks
            planned = self._planned[split] = (
                np.concatenate([task.variants for task in tasks]),
                np.concatenate([task.points for task in tasks]),
            )
        return planned


def _require_known(config: RunConfig) -> None:
    """Refuse a config of which it is not known what is rejected, or left out, before its dataset is made."""
    keeps_out = bool(config.exclude or config.models or config.suites)
    unknown = {
        "ops of several operations (sequence, dag, block, kernel, generic), of which equal ones are there once": (
            config.random_settings.has_drawn
        ),
        f"check={config.check.level}, which rejects programs": config.check.level != "parse",
        "measured times": config.measure.enabled,
        "exclude, models or suites, whose programs are kept out": keeps_out,
    }
    found = [what for what, is_so in unknown.items() if is_so]
    if found:
        raise UserError(
            f"Which programs a dataset has is not known before it is made, as its config has {listed(found)}. Make "
            "it, or leave that out."
        )
    if not config.ops:
        raise UserError("The config has no ops. Type for instance 'ops=[matmul]'.")
