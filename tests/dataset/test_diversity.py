"""The table of diversity: what it counts, held against the rows one by one, and wrong numbers that are found."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter, defaultdict

import pyarrow.parquet as pq
import pytest
from forging import forge
from helpers import config

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.diversity import diversity_of, entropy
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.ops import FAMILIES
from mlir_datagen.pipeline.run import generate
from mlir_datagen.verification import verify_dataset


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Single operations and graphs of several, in several files of Parquet, and a suite. Tests must not change it."""
    folder = tmp_path_factory.mktemp("several")
    settings = ["ops=[matmul,elementwise,conv_2d_nhwc_hwcf,transpose,sequence,block]", "dims=small", "num_samples=90"]
    more = ["programs_per_file=20", "suites=[gemm]", f"output_dir={folder}", "seed=3"]
    return generate(compose_config([*settings, *more])).path


def by_hand(rows):
    """Return the counts, and the entropies of the drawn programs, from rows as plain values."""
    triples, values, families = set(), defaultdict(Counter), Counter()
    for row in rows:
        nodes = row["nodes"]
        for node in nodes:
            layout = row["kind"] if len(nodes) == 1 else (len(node["shape"]), len(node["loops"]))
            triples.add((node["op"], node["dtype"], layout))
        if row["split"].startswith("suites"):
            continue
        family = row["family"]
        families[family] += 1
        if family in FAMILIES:
            for name, value in json.loads(row["spec"]).items():
                sizes = enumerate(value) if isinstance(value, list) else [(None, value)]
                for place, size in sizes:
                    if isinstance(size, int):
                        values[family, name if place is None else f"{name}[{place}]"][size] += 1
        else:
            values[family, "operations"][len(nodes)] += 1
            for node in nodes:
                values[family, "operation"][node["op"]] += 1
                values[family, "extent"].update(loop["bound"] for loop in node["loops"])
    multisets = {tuple(sorted(node["op"] for node in row["nodes"])) for row in rows}
    bits = {
        place: sum(-number / of.total() * math.log2(number / of.total()) for number in of.values())
        for place, of in values.items()
    }
    return len({row["sha256"] for row in rows}), len(multisets), len(triples), families, bits


def test_it_is_what_the_rows_give(several, monkeypatch):
    # So that some is known when more comes.
    monkeypatch.setattr("mlir_datagen.dataset.diversity._ROWS", 16)
    dataset = Dataset(several)
    found = diversity_of(several, dataset.indexes)
    rows = [
        row for files in dataset.indexes.values() for file in files for row in pq.read_table(several / file).to_pylist()
    ]
    assert len(dataset.index_files("train")) > 1
    distinct, multisets, triples, families, bits = by_hand(rows)
    assert (found.programs, found.distinct, found.multisets, found.triples) == (len(rows), distinct, multisets, triples)
    assert multisets < triples
    assert {family: of.programs for family, of in found.families.items()} == families
    told = {(family, name): value for family, of in found.families.items() for name, value in of.entropies.items()}
    assert told == pytest.approx(bits)
    assert any(value > 2 for value in told.values())


def test_entropy():
    assert entropy([5]) == 0
    assert entropy([1, 1, 1, 1]) == 2
    assert entropy([2, 1, 1]) == 1.5


def test_the_card_says_it_and_the_share_of_what_there_is(several, tmp_path):
    card = (several / "README.md").read_text()
    found = diversity_of(several, Dataset(several).indexes)
    assert f"- Distinct multisets of operations: {found.multisets}\n" in card
    assert f"- Distinct (operation, element type, layout): {found.triples}\n" in card
    (line,) = (line for line in card.splitlines() if line.startswith("| matmul |") and "m " in line)
    quota = json.loads((several / "manifest.json").read_text())["quotas"]["matmul"]
    existing, made = (sum(of[key] for of in quota.values()) for key in ("existing", "planned"))
    assert line.endswith(f"| {100 * made / existing:.3g}% |")
    assert f"m {found.families['matmul'].entropies['m']:.2f}, n " in line
    (drawn,) = (line for line in card.splitlines() if line.startswith("| block |"))
    assert drawn.endswith("| not known |")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("- Distinct programs: 125 of 125", "- Distinct programs: 124 of 125"), ("m 2.32", "m 2.33"), ("100%", "99.9%")],
)
def test_a_wrong_number_on_the_card_is_found(right, wrong, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "copy")
    verify_dataset(folder)
    assert right in (folder / "README.md").read_text()
    forge(folder, "README.md", lambda card: card.replace(right.encode(), wrong.encode(), 1))
    with pytest.raises(UserError, match=r"README\.md is not the one that the config and the programs give"):
        verify_dataset(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All matmuls of a grid. Tests must not change it."""
    run = config(
        ["matmul"], num_samples=125, split_ratios={"train": 1}, output_dir=str(tmp_path_factory.mktemp("whole"))
    )
    return generate(run).path
