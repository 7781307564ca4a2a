"""Making a dataset of a composed config, with Hydra: what `mlir-datagen generate` does."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from tabulate import tabulate

from mlir_datagen.command_line.running import run, stopped
from mlir_datagen.command_line.telling import present, print_outcome, progress, say
from mlir_datagen.command_line.typed import command
from mlir_datagen.config.compose import CONFIG_NAME, command_line, compose_config, from_omegaconf, is_run_alone
from mlir_datagen.config.export import ExportSettings
from mlir_datagen.config.folder import config_directory
from mlir_datagen.config.run import RunConfig
from mlir_datagen.dataset.scratch import clear_scratch_folders, scratch_folder
from mlir_datagen.errors import UserError, said
from mlir_datagen.pipeline.run import Preview, generate, preview
from mlir_datagen.programs.program import NETWORKS_SPLIT

_BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
_LAUNCHING = ("joblib", "submitit")
"""Libraries that start the jobs of a sweep elsewhere, and raise exceptions of their own about these."""


@hydra.main(version_base="1.3", config_path=str(config_directory()), config_name=CONFIG_NAME)
def _main(cfg: DictConfig) -> None:
    """Make the dataset of one composed config."""
    if HydraConfig.get().launcher["_target_"] != _BASIC_LAUNCHER:
        # In a process that a launcher has started: it hands on what is raised to the first one, and no exit code.
        _generate(from_omegaconf(cfg))
        sys.stdout.flush()
        return
    # Here and not outside: Hydra would print a line of its own about a job that raises.
    if code := run(lambda: _generate(from_omegaconf(cfg))):
        sys.exit(code)


def _generate(config: RunConfig) -> None:
    if config.dry_run:
        with progress("planning"):
            plan = preview(config)
        _print_preview(plan)
        return
    if config.shard is not None:
        _generate_shard(config)
        return
    if config.export is not None:
        _check_export(config.export, config.output_dir)
    started = time.perf_counter()
    with progress() as listener:
        outcome = generate(config, listener)
    seconds = time.perf_counter() - started
    try:
        if config.export is not None:
            _export(config.export, outcome.path)
        if config.report:
            present(outcome.path)
    finally:
        # The dataset is finished, whatever became of the export and of what shows it.
        print_outcome(outcome, seconds)


def _generate_shard(config: RunConfig) -> None:
    # Only here, since most runs make a whole dataset.
    from mlir_datagen.pipeline.sharding import generate_shard

    if config.export is not None:
        raise UserError(
            "A shard is no dataset yet, and cannot be exported. Type export=none, and export what is merged."
        )
    with progress() as listener:
        outcome = generate_shard(config, listener)
    shard = outcome.shard
    if outcome.existed:
        print("This shard is finished already.")
    print(f"{shard.programs} random programs, of {shard.tasks} tasks: shard {shard.number} of {shard.of}")
    print(f"To make the dataset of all of them: {command('merge')} <the folders of all shards>")
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
        with progress(counting="measuring") as listener:
            done = export_dataset(EXPORTERS[settings.consumer], dataset, True, listener, settings)
    except KeyboardInterrupt as interrupt:
        again = command("export", settings.consumer, str(dataset))
        message = f"Stopped while the dataset was exported; it is finished. To export it: {again}"
        sys.exit(stopped(interrupt, message))
    say(done.account)
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


def generate_with_hydra(settings: Sequence[str]) -> None:
    """Make the datasets that settings describe, as Hydra reads them from a command line."""
    if is_run_alone(settings):
        clear_scratch_folders()
        _generate(compose_config(settings))
        return
    with scratch_folder() as scratch:
        sys.argv[1:] = command_line(settings, scratch)
        try:
            _main()
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _LAUNCHING:
                raise
            raise UserError(
                f"A job of the sweep has ended without an outcome: {said(error)}. The datasets that others have made "
                "are finished, and the same command makes the rest."
            ) from error
    if any(setting.startswith("hydra/launcher=submitit") for setting in settings):
        print(
            "What the jobs printed is in .submitit of the sweep's folder: hydra.sweep.dir, or the newest in multirun/."
        )
