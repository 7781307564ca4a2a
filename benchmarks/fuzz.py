"""Whatever is typed, and whatever a stranger's dataset holds: exit code 0 or 2, never a traceback, a crash or a hang.

    python benchmarks/fuzz.py                                     # 300 command lines and 300 datasets
    python benchmarks/fuzz.py --settings 40 --files 40 --real 2   # a short run

Command lines are drawn over all groups and keys, with values of wrong types, odd strings, other alphabets, nulls,
nested values and interpolations, and run as dry runs: a part as real processes, the others each in a forked one. Of a
small dataset the saved config, the manifest, the index and its texts are changed, bytes or values, most of them with
checksums that agree; `verify.py`, `export.py` and the part of `reproduce.py` that reads are run on it.

It prints each one that ends in another way, with its command line, and then how many of each kind there were. The exit
code is 1 where there is one.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import io
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlir_datagen.config.compose import compose_config, known_keys
from mlir_datagen.config.overrides import GROUPS
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.dataset.exported import check_exports
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.dataset.rejects import read_rejects
from mlir_datagen.errors import UserError, said
from mlir_datagen.export import EXPORTERS
from mlir_datagen.export.base import export_dataset
from mlir_datagen.pipeline.run import Listener, generate, preview
from mlir_datagen.verification import verify_dataset

GENERATE = Path(__file__).resolve().parents[1] / "scripts" / "generate.py"
SECONDS = 120
WORDS = [
    "null", "true", "FALSE", "0", "-1", "1.5", "1e999", "nan", "-inf", "9" * 30, "1" + "0" * 5000, "0x10", "1_000",
    "", "''", '""', "[]", "{}", "[[]]", "[null]", "[0]", "{a: b}", "{a: {b: [1, {c: null}]}}", "[" * 60 + "]" * 60,
    "[" * 2000, "{", "]", "a,b", "[a,b,a]", "~/x", "~", "../..", "/", "a b", "données",
    "\u0434\u0430\u043d\u043d\u044b\u0435/\u6570", "e\u0301", "\U0001f600", "'données x'", "x\ty", "a\nb", "a=b",
    "a:b", "$HOME", "${seed}", "${nope}", "${", "${oc.env:HOME}", "${oc.env:NOPE,7}", "${now:%Y}",
    "${hydra:runtime.cwd}", "${oc.create:{a: 1}}", "range(1,4)", "choice(1,2)", "glob(*)", "interval(0,1)",
    "int(3.7)", "int(x)", "str(5)", "json_str({a: 1})", "sort(3,1,2)", "shuffle(1,2)", "extend_list(a)", "cast(1)",
    "f(x)", "!!python/object", "*a", "&a b", "2024-99-99", "default", "small", "[matmul]", "[matmul,conv2d]",
    "[resnet18]", "mlir_rl", "torchvision/vit_b_16", "[torchvision/vit_b_16]", "baseline", "execute", "\\", "a\\",
    "a'b", 'a"b', "a" * 3000, "%s", "\x01", "{train: 8, test: 2}", "{train: -1}", "{all: 1}", "{weights: 1}",
    "[16,32]", "{from: 1, to: 9, step: 3}", "{same_as: m}", "{from: 1, to: 2147483647, step: 1}", "[2147483647]",
    "[2147483648]",
]  # fmt: skip
PLAUSIBLE = [
    "experiment=tiny", "dims=small", "dims=large", "ops=[matmul,relu]", "ops=[conv2d]", "ops=[]", "models=[resnet18]",
    "models=[torchvision/vit_b_16,gpt2]", "models.resnet18.sizes.batch=2", "suites=[gemm]", "extract=ops",
    "num_samples=7", "num_samples=3000", "splits={a: 5, b: 5}", "split_ratios={train: 3, dev: 1}",
    "seed=9223372036854775807", "check=lower", "measure=baseline", "measure.max_seconds=1e-9", "export=mlir_rl",
    "storage=files", "limits.max_flops=100000", "limits.max_bytes=null", "dims.matrix=[7,9]",
    "dims.spatial={from: 9, to: 90, step: 9}", "ops.matmul.weight=0.3", "ops.conv2d.grid.width={same_as: height}",
    "on_exhausted=error", "exclude=[gemm]", "output_dir=données", "trust=[x]", "ops.elementwise.kinds=[max,add]",
    "ops.elementwise.ranks=[4]", "converter=manual", "sandbox.seconds=1", "name=x",
]  # fmt: skip
LETTERS = "abz09._-/~=+,:;'\"[]{}()<>$@!#%&*|\\ \t\u00e9\u0434\u6570\U0001f600"


def command_line(chance: random.Random, keys: list[str]) -> list[str]:
    """Draw the settings of a command line."""
    settings = chance.sample(PLAUSIBLE, chance.randint(0, 3))
    for _ in range(chance.randint(0, 2)):
        key = chance.choice([*keys, *GROUPS, *GROUPS])
        if chance.random() < 0.1:
            key = chance.choice(
                [f"{key}.x", f"{key}@a", f"{key}@a:b", key[:-1], f"{key}/x", key.upper(), "hydra.job.name"]
            )
        sign = chance.choice(["", "", "", "", "+", "++", "~"])
        value = chance.choice(WORDS)
        if chance.random() < 0.15:
            value = "".join(chance.choice(LETTERS) for _ in range(chance.randint(1, 12)))
        # The operating system does not pass a zero byte either.
        settings.append(f"{sign}{key}" if sign == "~" and chance.random() < 0.5 else f"{sign}{key}={value}")
    return settings


def changed_value(chance: random.Random, value: Any) -> Any:
    """Return plain values with one of them changed, at any depth."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(sorted(value))
        changed = dict(value)
        if chance.random() < 0.1:
            del changed[key]
        elif chance.random() < 0.05:
            changed[chance.choice(WORDS)[:50]] = changed.pop(key)
        else:
            changed[key] = changed_value(chance, value[key])
        return changed
    if isinstance(value, list) and value and chance.random() < 0.7:
        changed_list = list(value)
        place = chance.randrange(len(value))
        changed_list[place] = changed_value(chance, value[place])
        return changed_list
    nested: Any = []
    for _ in range(100):
        nested = [nested]
    odd = [
        None,
        True,
        -1,
        0,
        7,
        1 << 40,
        1 << 70,
        10**400,
        1.5,
        "",
        "x",
        "a" * 5000,
        [],
        {},
        [None],
        {"a": {}},
        nested,
        "é",
    ]
    return chance.choice([*odd, [value], {"a": value}, [value] * 3, str(value)])


def changed_bytes(chance: random.Random, data: bytes) -> bytes:
    """Return bytes some of which are changed, doubled or cut out."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        piece = changed[place : place + chance.choice([1, 1, 4, 60, 2000])]
        insert = chance.choice([b"", bytes([chance.randrange(256)]), bytes(piece) * 2, b"\0", b"\xff\xfe", b"(" * 300])
        changed[place : place + len(piece)] = insert
    return bytes(changed)


YAML = [
    b"a: &a [x, x]\n", b"name: *a\n", b"seed: !!int abc\n", b'name: !!int ""\n', b"name: 2024-99-99\n",
    b"trust: !!set {a}\n", b"seed: 9" + b"9" * 5000 + b"\n", b"? [a]\n: b\n", b"<<: {a: b}\n", b"--- \n---\n",
    b"%YAML 9.9\n", b"name: \"\\uD800\"\n", b"name: !!python/name:os.system\n", b"ops: " + b"[" * 5000, b"1: 2\n",
    b"null: 1\n", b"schema_version: 0x2\n", b"exclude: " + b"[a, " * 40 + b"]" * 40 + b"\n", b"seed: .nan\n",
    b"seed: 1:30\n", b"name: |\n  a\n  b\n",
]  # fmt: skip
TEXTS = [
    "module {" * 20_000 + "}" * 20_000, "module {}", "", "\0", "module {" * 90 + "}" * 90,
    "module attributes {x.y = affine_map<(d0) -> (" + "-" * 300_000 + "d0)>} {}",
    "!a = tuple<i1>\n" + "".join(f"!a{i} = tuple<!a, !a>\n" for i in range(40)) + "module {}",
    "module { func.func @f(%a: memref<4xf32>) { return } }", "module { func.func private @f() }",
    "module { func.func @f(%a: !llvm.ptr) -> i32 { %c = arith.constant 1 : i32 return %c : i32 } }",
    "module { func.func @f(%a: tensor<?xf32>) -> tensor<?xf32> { return %a : tensor<?xf32> } }",
    "module { func.func @f(%a: tensor<9223372036854775807x9xf32>) -> tensor<*xf32> { cf.br ^a ^a: cf.br ^a } }",
]  # fmt: skip


def changed_dataset(chance: random.Random, folder: Path) -> str:
    """Change something of a dataset in its place; return what."""
    manifest = json.loads((folder / "manifest.json").read_text())
    kind = chance.choice(
        ["config bytes", "config yaml", "manifest", "manifest", "manifest bytes", "index", "index bytes", "text"]
    )
    if kind.startswith("config"):
        data = (folder / "config.yaml").read_bytes()
        odd = chance.choice(YAML)
        lines = [line for line in data.splitlines(keepends=True) if not line.startswith(odd.split(b":")[0] + b":")]
        changed = b"".join(lines) + odd if kind == "config yaml" else changed_bytes(chance, data)
        (folder / "config.yaml").write_bytes(changed)
    elif kind == "manifest":
        manifest = changed_value(chance, manifest)
    elif kind == "manifest bytes":
        (folder / "manifest.json").write_bytes(changed_bytes(chance, (folder / "manifest.json").read_bytes()))
        return kind
    else:
        _change_index(chance, folder, kind)
    with contextlib.suppress(Exception):
        _agree(folder, manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return kind


def _change_index(chance: random.Random, folder: Path, kind: str) -> None:
    path = chance.choice(sorted(folder.rglob("*.parquet")))
    if kind == "index bytes":
        path.write_bytes(changed_bytes(chance, path.read_bytes()))
        return
    table = pq.read_table(path)
    rows = table.to_pylist()
    row = chance.choice(rows)
    if kind == "text" and "mlir" in row:
        text = chance.choice([*TEXTS, changed_bytes(chance, row["mlir"].encode()).decode(errors="replace")])
        row.update(mlir=text, sha256=hashlib.sha256(text.encode()).hexdigest())
        if "\0" not in row["file"]:
            (folder / row["file"]).write_text(text)
    else:
        column = chance.choice(list(row))
        row[column] = changed_value(chance, row[column])
    with contextlib.suppress(pa.ArrowException, OverflowError, TypeError, ValueError):
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def _agree(folder: Path, manifest: dict[str, Any]) -> None:
    """Have the checksums agree with what is there now."""
    sums = {
        line[66:]: hashlib.sha256((folder / line[66:]).read_bytes()).hexdigest()
        for line in (folder / "SHA256SUMS").read_text().splitlines()
    }
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {file}\n" for file, digest in sums.items()))
    if "measurements" in manifest:
        for file in manifest["measurements"]["files"]:
            manifest["measurements"]["files"][file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    for file in manifest["files"]:
        manifest["files"][file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()


def read_all(folder: Path) -> None:
    """Do what reproduce.py does before it makes anything."""
    dataset = Dataset(folder)
    load_saved_config(folder / "config.yaml")
    dataset.checksums()
    read_rejects(folder)
    check_exports(folder, dataset.manifest["digest"])
    collections.deque(dataset.programs(), 0)


READERS: dict[str, Callable[[Path], object]] = {
    "verify.py": verify_dataset,
    "export.py mlir_rl": lambda folder: export_dataset(EXPORTERS["mlir_rl"], folder, False, Listener()),
    "reproduce.py": read_all,
}


def ending(action: Callable[[], object]) -> str:
    """Run something in a process of its own; return how it ended: `0`, `2`, or what it must not be."""
    sys.stdout.flush()
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        signal.alarm(SECONDS)
        said = "0"
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                action()
        except UserError as error:
            said = "2" if len(str(error)) < 5000 else f"a message of {len(str(error))} characters"
        except BaseException:
            said = traceback.format_exc(limit=-4)
        os.write(write, said.encode(errors="replace")[:60_000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        told = stream.read().decode(errors="replace")
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return f"no end within {SECONDS} s" if name == "SIGALRM" else f"killed by {name}"
    return told


def real_ending(settings: list[str], folder: Path) -> str:
    """Run a command line as a user does; return how it ended."""
    try:
        done = subprocess.run(
            [sys.executable, str(GENERATE), *settings], cwd=folder, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no end within {SECONDS} s"
    is_told = done.returncode in (0, 2) and "Traceback" not in done.stderr
    return str(done.returncode) if is_told else f"exit code {done.returncode}: {done.stderr[-3000:]}"


def settings_endings(count: int, real: int, seed: int, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield command lines and how they ended."""
    chance, keys = random.Random(f"settings {seed}"), known_keys()  # noqa: S311
    for number in range(count):
        settings = [*command_line(chance, keys), "dry_run=true"]
        if number < real:
            found = real_ending(settings, folder)
        else:
            found = ending(lambda settings=settings: preview(compose_config(settings)))  # type: ignore[misc]
        yield f"python scripts/generate.py {shlex.join(settings)}", found


def file_endings(count: int, seed: int, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what was done to a dataset, with what was run on it, and how that ended."""
    chance = random.Random(f"files {seed}")  # noqa: S311
    made = [
        generate(compose_config(["experiment=tiny", "num_samples=8", setting, f"output_dir={folder / 'made'}"])).path
        for setting in ("suites=[mlir_rl_eval]", "measure=baseline")
        if count
    ]
    for number in range(count):
        copied = shutil.copytree(made[number % len(made)], folder / f"{number}")
        what = changed_dataset(chance, copied)
        for script, reader in READERS.items():
            found = ending(lambda copied=copied, reader=reader: reader(copied))  # type: ignore[misc]
            yield f"python scripts/{script} {copied}  # {what}", found
            if found not in ("0", "2"):
                shutil.copytree(copied, Path(tempfile.gettempdir()) / f"fuzz_{seed}_{number}", dirs_exist_ok=True)
        shutil.rmtree(copied)


def main() -> int:
    """Run both, and print what ended in another way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=int, default=300, help="how many command lines")
    parser.add_argument("--real", type=int, default=30, help="how many of them as real processes")
    parser.add_argument("--files", type=int, default=300, help="how many changed datasets")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts: dict[str, collections.Counter[str]] = {"settings": collections.Counter(), "files": collections.Counter()}
    with tempfile.TemporaryDirectory(prefix="fuzz_") as temporary:
        folder = Path(temporary)
        runs = {
            "settings": settings_endings(arguments.settings, arguments.real, arguments.seed, folder),
            "files": file_endings(arguments.files, arguments.seed, folder),
        }
        for kind, endings in runs.items():
            for command, found in endings:
                counts[kind][found if found in ("0", "2") else "other"] += 1
                if found not in ("0", "2"):
                    print(f"{said(command)}\n  {found}")
    for kind, counted in counts.items():
        print(f"{kind}: {counted['0']} ended with 0, {counted['2']} with 2, {counted['other']} in another way")
    return int(any(counted["other"] for counted in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
