"""Make a dataset: `python scripts/generate.py 'ops=[matmul,conv2d]' num_samples=500`.

conf/generate.yaml explains every setting; the README has examples.
"""

from __future__ import annotations

import _cli  # isort: split

import os
import sys
import time
from functools import partial
from pathlib import Path

import _telling
import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from tabulate import tabulate
from tqdm import tqdm

from mlir_datagen.config.compose import CONFIG_NAME, command_line, from_omegaconf
from mlir_datagen.config.export import ExportSettings
from mlir_datagen.config.run import RunConfig
from mlir_datagen.dataset.scratch import scratch_folder
from mlir_datagen.errors import UserError, said
from mlir_datagen.pipeline.run import Listener, Preview, generate, preview
from mlir_datagen.programs.program import NETWORKS_SPLIT

_BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
_LAUNCHING = ("joblib", "submitit")
"""Libraries that start the jobs of a sweep elsewhere, and raise exceptions of their own about these."""


@hydra.main(version_base="1.3", config_path="../conf", config_name=CONFIG_NAME)
def main(cfg: DictConfig) -> None:
    """Make the dataset of one composed config."""
    if HydraConfig.get().launcher["_target_"] != _BASIC_LAUNCHER:
        # In a process that a launcher has started: it hands on what is raised to the first one, and no exit code.
        _generate(cfg)
        sys.stdout.flush()
        return
    # Here and not outside: Hydra would print a line of its own about a job that raises.
    if code := _cli.run(partial(_generate, cfg)):
        sys.exit(code)


def _generate(cfg: DictConfig) -> None:
    config = from_omegaconf(cfg)
    if config.dry_run:
        _print_preview(preview(config))
        return
    if config.shard is not None:
        _generate_shard(config)
        return
    if config.export is not None:
        _check_export(config.export, config.output_dir)
    started = time.perf_counter()
    with _telling.progress() as listener:
        outcome = generate(config, listener)
    seconds = time.perf_counter() - started
    try:
        if config.export is not None:
            _export(config.export, outcome.path)
        if config.report:
            _telling.present(outcome.path)
    finally:
        # The dataset is finished, whatever became of the export and of what shows it.
        _telling.print_outcome(outcome, seconds)


def _generate_shard(config: RunConfig) -> None:
    # Only here, since most runs make a whole dataset.
    from mlir_datagen.pipeline.sharding import generate_shard

    if config.export is not None:
        raise UserError(
            "A shard is no dataset yet, and cannot be exported. Type export=none, and export what is merged."
        )
    with _telling.progress() as listener:
        outcome = generate_shard(config, listener)
    shard = outcome.shard
    if outcome.existed:
        print("This shard is finished already.")
    print(f"{shard.programs} random programs, of {shard.tasks} tasks: shard {shard.number} of {shard.of}")
    print("To make the dataset of all of them: python scripts/merge.py <the folders of all shards>")
    print(f"shard: {outcome.path}")


def _check_export(settings: ExportSettings, output_dir: Path) -> None:
    """Refuse a place that the consumer could not read from, before anything is made."""
    # Only here, since most runs export nothing.
    from mlir_datagen.export import EXPORTERS

    EXPORTERS[settings.consumer].check_folder(output_dir.resolve())


def _export(settings: ExportSettings, dataset: Path) -> None:
    from mlir_datagen.export import EXPORTERS
    from mlir_datagen.export.base import export_dataset

    try:
        with tqdm(unit=" programs", disable=None, leave=False, delay=0.2) as bar:
            listener = Listener(bar.reset, bar.update)
            done = export_dataset(EXPORTERS[settings.consumer], dataset, True, listener, settings)
    except KeyboardInterrupt as interrupt:
        command = f"python scripts/export.py {settings.consumer} {dataset}"
        message = f"Stopped while the dataset was exported; it is finished. To export it: {command}"
        sys.exit(_cli.stopped(interrupt, message))
    print(done.account)
    print(f"exported: {done.folder}")


def _print_preview(plan: Preview) -> None:
    rows = [[quota.split, quota.family, quota.asked, str(quota.existing), quota.planned] for quota in plan.quotas]
    has_listed = bool(plan.networks or plan.listed)
    rows += [[NETWORKS_SPLIT, name, 1, "", 1] for name in plan.networks]
    rows += [[split, "", "", "", "?" if number is None else number] for split, number in plan.listed.items()]
    print(tabulate(rows, headers=["split", "op", "asked for", "existing", "will be made"]))
    print(f"disk needed: about {plan.disk_bytes / 1e6:.1f} MB{' for the random programs' if has_listed else ''}")
    print("This was a dry run: nothing was written.")
    print(f"dataset {'exists' if plan.exists else 'would be'}: {plan.path}")


def _start_hydra() -> None:
    # Launchers start processes that import what this script does.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (sys.path[0], os.environ.get("PYTHONPATH"))))
    with scratch_folder() as scratch:
        sys.argv[1:] = command_line(sys.argv[1:], scratch)
        try:
            main()
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _LAUNCHING:
                raise
            raise UserError(
                f"A job of the sweep has ended without an outcome: {said(error)}. The datasets that others have made "
                "are finished, and the same command makes the rest."
            ) from error
    if any(argument.startswith("hydra/launcher=submitit") for argument in sys.argv):
        print(
            "What the jobs printed is in .submitit of the sweep's folder: hydra.sweep.dir, or the newest in multirun/."
        )


if __name__ == "__main__":
    sys.exit(_cli.run(_start_hydra))
