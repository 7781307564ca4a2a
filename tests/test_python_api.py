from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hydra
import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import run_mlir_opt

from mlir_datagen import RandomMLIRGenerator, UserError


def texts(paths):
    return [Path(path).read_text() for path in paths]


def test_the_call_of_the_original_readme(tmp_path):
    generator = RandomMLIRGenerator(seed=42)
    files = generator.generate_dataset(
        num_samples=20, output_dir=str(tmp_path / "data" / "train"), operation_types=["matmul", "conv2d"]
    )
    assert len(files) == 20
    assert files[0] == tmp_path / "data" / "train" / "matmul_0000.mlir"
    assert {path.name.split("_")[0] for path in files} == {"matmul", "conv2d"}
    assert sorted(path.name for path in (tmp_path / "data" / "train").iterdir()) == sorted(
        [*(path.name for path in files), "index.parquet"]
    )
    assert pq.read_table(tmp_path / "data" / "train" / "index.parquet").column("file").to_pylist() == [
        path.name for path in files
    ]
    assert run_mlir_opt(19, texts(files)).returncode == 0


def test_all_families_without_operation_types_and_a_path(tmp_path):
    files = RandomMLIRGenerator().generate_dataset(8, tmp_path / "train")
    assert {path.name.split("_")[0] for path in files} == {"matmul", "conv2d", "pooling", "elementwise"}


def test_batches_of_one_generator_share_nothing(tmp_path):
    generator = RandomMLIRGenerator(seed=1, dims="small")
    batches = [texts(generator.generate_dataset(30, tmp_path / f"batch_{i}")) for i in range(3)]
    assert len({text for batch in batches for text in batch}) == 90


def test_batches_are_the_parts_of_one_large_call(tmp_path):
    generator = RandomMLIRGenerator(seed=1, dims="small")
    parts = [text for size in (3, 5, 1, 1) for text in _batch(generator, size, tmp_path / "other")]
    whole = RandomMLIRGenerator(seed=1, dims="small").generate_dataset(10, tmp_path / "whole")
    assert parts == texts(whole)


def _batch(generator, size, folder):
    return texts(generator.generate_dataset(size, folder))


def test_the_same_seed_gives_the_same_programs_and_another_does_not(tmp_path):
    one, two, three = (
        texts(RandomMLIRGenerator(seed=seed).generate_dataset(12, tmp_path / name, ["pooling"]))
        for seed, name in ((5, "one"), (5, "two"), (6, "three"))
    )
    assert one == two != three


def test_an_earlier_result_is_replaced(tmp_path):
    generator = RandomMLIRGenerator()
    generator.generate_dataset(8, tmp_path / "out")
    files = generator.generate_dataset(4, tmp_path / "out")
    assert sorted((tmp_path / "out").glob("*.mlir")) == sorted(files)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_things_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match=r"holds thesis\.tex, which this generator did not write"):
        RandomMLIRGenerator().generate_dataset(4, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_stranger_index_is_not_ours(tmp_path):
    pq.write_table(pq.read_table(_index(tmp_path / "ours")).replace_schema_metadata(None), tmp_path / "index.parquet")
    with pytest.raises(UserError, match=r"holds index\.parquet"):
        RandomMLIRGenerator().generate_dataset(4, tmp_path)


def _index(folder):
    RandomMLIRGenerator().generate_dataset(1, folder)
    index = folder.with_suffix(".parquet")
    (folder / "index.parquet").rename(index)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return index


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, "out"), "num_samples is 0"),
        ((5, "out", ["matmull"]), 'no "matmull" in the group ops.* Did you mean "matmul" or'),
        ((5, "out", []), "No op is chosen"),
        ((1000, "out", ["matmul"]), "too few programs for the 1000"),
        ((5, "out", "matmul"), "must be a list"),
        ((5, "out", [None]), "operation_types has None"),
        (("null", "out"), "num_samples is 'null', and must be a whole number"),
        ((5, "."), "is the working folder"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        RandomMLIRGenerator().generate_dataset(*arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": "x"}, {"dims": "bogus"}, {"dims": "a=b"}])
def test_bad_arguments_of_the_generator(arguments):
    with pytest.raises(UserError):
        RandomMLIRGenerator(**arguments)


def test_numbers_of_numpy_and_a_generator_of_names(tmp_path):
    generator = RandomMLIRGenerator(seed=np.int64(3))
    names = (name for name in ("matmul", "conv2d"))
    assert len(generator.generate_dataset(np.int32(4), tmp_path / "out", names)) == 4


def test_a_symbolic_link_to_a_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for _ in range(2):
        RandomMLIRGenerator().generate_dataset(2, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(list((tmp_path / "real").glob("*.mlir"))) == 2


def test_what_a_killed_call_left_does_not_matter(tmp_path):
    for _ in range(2):
        (tmp_path / ".out.replaced").mkdir()
        (tmp_path / ".out.replaced" / "matmul_0000.mlir").write_text("")
        RandomMLIRGenerator().generate_dataset(2, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_it_works_within_another_hydra_application(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "app.yaml").write_text("mine: 1\n")
    with hydra.initialize_config_dir(str(tmp_path / "conf"), version_base="1.3"):
        assert len(RandomMLIRGenerator().generate_dataset(2, tmp_path / "out")) == 2
        assert hydra.compose("app").mine == 1


def test_importing_the_package_is_light(tmp_path):
    heavy = "torch transformers pandas matplotlib"
    code = (
        "import sys, mlir_datagen; mlir_datagen.RandomMLIRGenerator().generate_dataset(2, 'out'); "
        f"print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
