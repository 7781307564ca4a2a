"""Run a program as the released artifact of MLIR-RL does, and print how many nanoseconds it takes there.

    MLIR_SHARED_LIBS=… python benchmarks/artifact_executor.py <checkout of MLIR-RL-artifact> <program>.mlir

The checkout's own code lowers, compiles and times it: five calls on arguments of zeros, of which the median counts. It
imports MLIR's bindings as `mlir`; those of torch-mlir, which are MLIR's own, take that name here. Only bufferizing is
ours: theirs is one with the lowering of vectors, which is spelt for MLIR 19, and no program here has vectors.
`benchmarks/mlir_rl.py --artifact` compares our times with these.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from torch_mlir import ir, passmanager

from mlir_datagen.mlir.mlir_rl_lowering import MLIR_RL_PASSES

_BUFFERIZING = 1 + next(place for place, name in enumerate(MLIR_RL_PASSES) if name.startswith("one-shot-bufferize"))
"""How many of the passes lead to memrefs."""
_BINDINGS = ("ir", "runtime", "passmanager", "execution_engine", "dialects.func", "dialects.transform.interpreter")


def name_bindings() -> None:
    """Make the bindings known under the name that they have when MLIR is built on its own."""
    for name in _BINDINGS:
        importlib.import_module(f"torch_mlir.{name}")
    found = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torch_mlir"}
    core = found["torch_mlir._mlir_libs._mlir"]
    found["torch_mlir._mlir_libs._mlir.ir"] = core.ir
    sys.modules.update({f"mlir{name.removeprefix('torch_mlir')}": module for name, module in found.items()})


def bufferize(module: ir.Module) -> None:
    """Bufferize a program, as the first of MLIR-RL's passes do."""
    pipeline = f"builtin.module({','.join(MLIR_RL_PASSES[:_BUFFERIZING])})"
    passmanager.PassManager.parse(pipeline, module.context).run(module.operation)


def main() -> None:
    """Run the program that the command line names."""
    checkout, program = map(Path, sys.argv[1:])
    name_bindings()
    sys.path.insert(0, str(checkout))
    artifact = importlib.import_module("mlir_rl_artifact.execution")
    vars(artifact)["transform_bufferize_and_lower_v"] = bufferize
    module = ir.Module.parse(program.read_text(), ir.Context())
    nanoseconds, succeeded, _ = artifact.Execution("").execute_code(module, program.stem, [])
    if not succeeded:
        sys.exit(f"{program.stem} fails there")
    print(nanoseconds)


if __name__ == "__main__":
    main()
