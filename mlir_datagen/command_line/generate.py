"""Make a dataset: `mlir-datagen generate 'ops=[matmul,conv2d]' num_samples=500`.

conf/generate.yaml explains every setting; the README has examples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.command_line.running import while_importing

_SAMPLES = re.compile(r"num_samples=(\d{1,12})", re.ASCII)
_WITHOUT_WORKERS = ("executor", "hydra/launcher", "check=", "measure=", "dry_run=", "--cfg", "--info")
"""What begins a setting with which others make the programs, or with which there may be none to make."""

_WHAT = """Make a dataset of the programs that settings describe: name=value for each. Without any, 1000 programs to
train on and 200 to test on are made in outputs/.

The settings, and the options that are not listed here, are Hydra's: -m makes a dataset with each of several values,
--cfg job prints all settings with their values and makes nothing, --config-dir and --config-name read a saved config,
--info says how the settings were put together, and --hydra-help lists all such options.
"""


class _Generate(Command):
    """A subcommand whose words all go to Hydra, but for those that ask for help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words of a command line as they are."""
        if not ctx.resilient_parsing and any(word in ctx.help_option_names for word in args):
            # Hydra's own copies all configs to describe them, which takes seconds.
            click.echo(ctx.get_help())
            ctx.exit()
        ctx.args = args
        return args

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what a word of the settings may become."""
        # Only here, since it imports what runs do, and help is to be quick.
        from mlir_datagen.command_line.completing import complete

        return complete(ctx.args, incomplete)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return what the line of usage has behind the name."""
        return ["[OPTION]...", "[NAME=VALUE]..."]


@click.pass_context
def _main(context: click.Context) -> None:
    if programs := _programs(context.args):
        # Only here, so that help is quick.
        from mlir_datagen.executors.beginning import begin_early

        begin_early(programs)
    with while_importing():
        from mlir_datagen.command_line.generating import generate_with_hydra
    generate_with_hydra(context.args)


def _programs(settings: Sequence[str]) -> int:
    """Return how many programs settings say that worker processes are to make, as far as that is seen at once."""
    if any(setting.startswith(_WITHOUT_WORKERS) for setting in settings):
        return 0
    return max((int(found[1]) for setting in settings if (found := _SAMPLES.fullmatch(setting))), default=0)


command = _Generate(
    "generate",
    callback=_main,
    help=_WHAT,
    examples=[
        ("experiment=tiny", "a named dataset, of 24 programs"),
        ("'ops=[matmul,conv2d]' num_samples=500", "these ops; the splits scaled to 500 together"),
        ("dims=small splits='{train: 80, val: 10, test: 10}' seed=7", "small sizes, and three splits"),
        ("-m seed=1,2,3", "a sweep: three datasets"),
        ("'ops=[matmul]' check=execute measure=baseline", "every program is run, compared and measured"),
        ("dry_run=true", "the plan and the disk it needs; writes nothing"),
        ("--config-dir outputs/<dataset> --config-name config", "what a dataset was made with, again"),
    ],
)
