"""The generators that `compare.py` compares: ours, and those of others where a checkout of theirs is named.

A checkout is named by an environment variable; nothing of it is here. Each is run by its own command line where that
needs nothing but Python, and else by calling its functions as its command line does, without what it measures.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FORK, FIRST = "MLIR_RL_FORK", "MLIR_RL_FIRST"
"""The variables: a checkout of github.com/Mehdix17/MLIR-RL, and one of github.com/Modern-Compilers-Lab/MLIR-RL at its
branch main of 2024, which has `data_generation_random.py`."""

_FIRST_DRIVER = """
import random, sys
from pathlib import Path
import yaml
import data_generation_random as generator
from utils.observation_utils import function_wrapper

folder, programs, seed, config = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
random.seed(seed)
folder.mkdir(parents=True)
for name, values in yaml.safe_load(Path(config).read_text())["SHAPES"].items():
    getattr(generator, name).extend(values)
names = sorted(generator.LINALG_OPERATION_GENERATORS)
for number in range(programs):
    made = generator.LINALG_OPERATION_GENERATORS[random.choice(names)]()
    operation, maps = made if isinstance(made, tuple) else (made, None)
    (folder / f"{number}.mlir").write_text(function_wrapper(operation, maps=maps))
"""
"""Its command line gives a program on only after it has run, with an LLVM that was built for it."""

_FORK_NETWORK_DRIVER = """
import sys
from pathlib import Path
import torch
from mlir_datagen.networks.torchvision_import import import_torchvision
import_torchvision()
from torchvision.models import resnet18
from data_utils.convert.vision2mlir import direct_route
from data_utils.postprocess.strip_mlir import strip_weights

torch.manual_seed(0)
whole = direct_route(
    resnet18().eval(), "resnet18", torch.randn(1, 3, 224, 224), sys.argv[1], func_name="resnet18", try_compile=False
)
strip_weights(whole, str(Path(sys.argv[1]) / "stripped"), verbose=False)
"""
"""Its command line loads weights from the network; here they are random. It strips them, too."""


@dataclass(frozen=True)
class Generator:
    """One generator of MLIR programs.

    Attributes:
        name: in the table.
        command: the arguments of a process that makes so many programs in a folder, from a seed.
        cwd: where it is run.
        values: whether what its programs compute is checked against anything.
        environment: variables of the process, besides those of this one.
    """

    name: str
    command: Callable[[Path, int, int], Sequence[str]]
    cwd: Path
    values: str
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, folder: Path, programs: int, seed: int) -> None:
        """Make programs.

        Raises:
            CalledProcessError: when the generator fails.
        """
        subprocess.run(
            self.command(folder, programs, seed),
            cwd=self.cwd,
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            check=True,
        )

    @staticmethod
    def texts(folder: Path) -> list[str]:
        """Return the programs that it made, in the order of their paths."""
        return [path.read_text() for path in sorted(folder.rglob("*.mlir"))]


def _ours(*settings: str) -> Generator:
    def command(folder: Path, programs: int, seed: int) -> list[str]:
        own = (f"num_samples={programs}", f"seed={seed}", f"output_dir={folder}", "report=false")
        return [sys.executable, str(REPOSITORY / "scripts" / "generate.py"), *settings, *own]

    return Generator(f"mlir_datagen, {' '.join(settings)}", command, REPOSITORY, "with `check=execute`")


def _of_fork(checkout: Path, name: str, made: str, other: str) -> Generator:
    def command(folder: Path, programs: int, seed: int) -> list[str]:
        script = "data_utils/generate/generate_synthetic.py"
        own = (f"--num-{made}", str(programs), f"--skip-{other}", f"--output-{made}-dir", str(folder))
        return [sys.executable, script, *own, "--seed", str(seed)]

    return Generator(name, command, checkout, "no", {"PYTHONPATH": str(checkout)})


def _of_first(checkout: Path) -> Generator:
    def command(folder: Path, programs: int, seed: int) -> list[str]:
        config = str(checkout / "configs" / "example.yaml")
        return [sys.executable, "-W", "ignore", "-c", _FIRST_DRIVER, str(folder), str(programs), str(seed), config]

    return Generator("MLIR-RL of 2024, single operations", command, checkout, "no", {"PYTHONPATH": str(checkout)})


def generators() -> list[Generator]:
    """Return ours, and the others' whose checkouts are named."""
    found = [
        _ours("ops=[named]", "dims=large", "storage=files"),
        _ours("ops=[named]", "dims=large", "storage=parquet"),
        _ours("ops=[named]", "dims=large", "storage=files", "form=generic"),
        _ours("ops=[sequence]", "dims=large", "storage=files"),
    ]
    if FORK in os.environ:
        checkout = Path(os.environ[FORK]).resolve()
        found.append(_of_fork(checkout, "Mehdix17/MLIR-RL, single operations", "single", "bench"))
        found.append(_of_fork(checkout, "Mehdix17/MLIR-RL, chains of five", "bench", "single"))
    if FIRST in os.environ:
        found.append(_of_first(Path(os.environ[FIRST]).resolve()))
    return found


def network_sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of ResNet-18, 224 x 224, as each converter gives it."""
    sizes = {}
    for converter in ("torch_mlir", "manual"):
        made = folder / converter
        command = [sys.executable, str(REPOSITORY / "scripts" / "generate.py"), "models=[resnet18]", "ops=[]"]
        own = [f"converter={converter}", f"output_dir={made}"]
        subprocess.run([*command, *own], cwd=REPOSITORY, stdout=subprocess.DEVNULL, check=True)
        (text,) = Generator.texts(made)
        sizes[f"mlir_datagen, converter={converter}"] = len(text.encode())
    if FORK in os.environ:
        checkout = Path(os.environ[FORK]).resolve()
        made = folder / "fork"
        made.mkdir(parents=True)
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _FORK_NETWORK_DRIVER, str(made)],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        (whole,) = made.glob("*_linalg.mlir")
        sizes["Mehdix17/MLIR-RL, with its weights"] = whole.stat().st_size
        sizes["Mehdix17/MLIR-RL, its weights stripped"] = (made / "stripped").stat().st_size
    return sizes
