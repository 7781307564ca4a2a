"""Running scripts in processes that are forked from one which has imported all that they import.

Importing takes four times as long as refusing a setting. What a script does is the same; where it depends on how a
process begins (its imports, signals, a terminal), tests start a fresh one with `helpers.run_script`.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
_SECONDS = 900
"""After so long, a script is ended by a signal."""


def without_report(name: str, arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments of a script that makes a dataset so that it makes nothing else, unless they ask for that."""
    subcommand = arguments[0] if name == "mlir-datagen" and arguments else name
    option = {"generate": "report=false", "merge": "--no-report"}.get(subcommand)
    asked = any(argument.startswith("report=") for argument in arguments)
    return (*arguments, option) if option is not None and not asked else (*arguments,)


def run_warm(
    name: str, *arguments: str, cwd: Path | str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts, or `mlir-datagen`; return what it printed, and its exit code."""
    server, arguments = _server(), without_report(name, arguments)
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        printed = [str(Path(folder) / stream) for stream in ("stdout", "stderr")]
        server.stdin.write(json.dumps([name, arguments, str(cwd), {**os.environ, **(environment or {})}, printed]))
        server.stdin.write("\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        output, errors = (Path(path).read_text(encoding="utf-8", errors="replace") for path in printed)
    return subprocess.CompletedProcess([name, *arguments], code, output, errors)


@cache
def _server() -> subprocess.Popen[str]:
    """Start the process that scripts are forked from; it ends with its input, when this one does."""
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server


def _serve() -> tuple[str, list[str]] | None:
    """Fork a process for each line of the input, and print its exit code; return in those processes what to run."""
    import click.shell_completion
    import hydra.main
    import pyarrow.parquet
    import tabulate
    import tqdm

    import mlir_datagen.command_line.page
    import mlir_datagen.export
    import mlir_datagen.mlir.parse
    import mlir_datagen.pipeline.run
    import mlir_datagen.verification  # noqa: F401

    assert hydra, (click, pyarrow, tabulate, tqdm)
    for line in sys.stdin:
        name, arguments, cwd, environment, printed = json.loads(line)
        if not (pid := os.fork()):
            os.chdir(cwd)
            os.environ.clear()
            os.environ.update(environment)
            signal.alarm(_SECONDS)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for descriptor, path in enumerate(printed, 1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
            return name, arguments
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return None


if __name__ == "__main__" and (asked := _serve()) is not None:
    name, arguments = asked
    sys.argv = [name, *arguments]
    if name == "mlir-datagen":
        runpy.run_module("mlir_datagen.command_line.main", run_name="__main__")
    else:
        runpy.run_path(str(_SCRIPTS / f"{name}.py"), run_name="__main__")
