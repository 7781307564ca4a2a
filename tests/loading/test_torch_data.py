"""Batches for PyTorch: what is padded, who reads what, and that nothing comes twice or is lost."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader

from mlir_datagen import UserError, load_dataset


@pytest.fixture(scope="module")
def programs(in_parquet):
    return load_dataset(in_parquet)


def unpadded(tensor, mask):
    """Return nested lists of what is no padding, without those that are empty at the end."""
    if tensor.ndim == 1:
        return tensor[mask].tolist()
    return [unpadded(*row) for row in zip(tensor, mask, strict=True)]


def test_full_rows_become_batches(programs):
    data = programs.torch()
    (batch,) = DataLoader(data, batch_size=len(data), collate_fn=data.collate)
    rows = list(programs)
    assert batch["mlir"] == [row["mlir"] for row in rows]
    assert batch["flops"].tolist() == [row["flops"] for row in rows]
    assert batch["nodes.flops"].shape == (60, max(len(row["nodes"]) for row in rows))
    assert unpadded(batch["nodes.flops"], batch["nodes.flops.mask"]) == [
        [node["flops"] for node in row["nodes"]] for row in rows
    ]
    found = unpadded(batch["nodes.loops.bound"], batch["nodes.loops.bound.mask"])
    assert [[loops for loops in nodes if loops] for nodes in found] == [
        [[loop["bound"] for loop in node["loops"]] for node in row["nodes"]] for row in rows
    ]
    assert batch["nodes.op"] == [[node["op"] for node in row["nodes"]] for row in rows]
    assert not batch["nodes.flops"][~batch["nodes.flops.mask"]].any()


def test_the_default_collate_cannot(programs):
    with pytest.raises(RuntimeError):
        list(DataLoader(programs.torch(["nodes.flops"]), batch_size=60))


def test_lists_codes_and_what_is_missing(programs):
    words = programs.words("nodes.op")
    data = programs.torch(
        ["nodes.op", "edges", "error", "multiplicity", "provenance"],
        ragged="list",
        missing=-7,
        codes={"nodes.op": words},
    )
    batch = data.collate(data.__getitems__([0, -1]))
    for number, row in ((0, programs[0]), (1, programs[-1])):
        assert [words[code] for code in batch["nodes.op"][number].tolist()] == [node["op"] for node in row["nodes"]]
        assert batch["edges.producer"][number].tolist() == [edge["producer"] for edge in row["edges"]]
    assert all(math.isnan(error) for error in batch["error"].tolist())
    assert batch["multiplicity"].tolist() == [-7, -7]
    assert batch["provenance"] == ["", ""]


def test_padding_is_the_one_asked_for(programs):
    data = programs.torch(["loops.bound"], padding=-3)
    batch = data.collate([data[number] for number in range(60)])
    assert (batch["loops.bound"][~batch["loops.bound.mask"]] == -3).all()
    assert not batch["loops.bound.mask"].all()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_gives_each_program_once(programs, workers):
    orders = []
    for epoch in (0, 1):
        names = []
        for rank in range(3):
            stream = programs.stream(["split", "name"], shuffle=True, seed=1, rank=rank, world_size=3)
            stream.set_epoch(epoch)
            batches = list(DataLoader(stream, batch_size=7, num_workers=workers, collate_fn=stream.collate))
            mine = [pair for batch in batches for pair in zip(batch["split"], batch["name"], strict=True)]
            assert len(mine) == len(stream) == 20
            names += mine
        assert Counter(names) == Counter((row["split"], row["name"]) for row in programs)
        orders.append(names)
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


def test_shares_of_a_stream_can_be_made_equal(programs):
    sizes = [len(programs.stream(["name"], rank=rank, world_size=7, drop_last=True)) for rank in range(7)]
    assert sizes == [8] * 7
    assert sum(len(programs.stream(["name"], rank=rank, world_size=7)) for rank in range(7)) == 60


def test_ranks_of_a_loader_share_the_programs(programs, monkeypatch):
    names = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        loader = programs.torch(["split", "name"]).loader(8, shuffle=True, seed=3, workers=rank)
        names += [pair for batch in loader for pair in zip(batch["split"], batch["name"], strict=True)]
    assert Counter(names) == Counter((row["split"], row["name"]) for row in programs)


def test_times_are_columns(in_files):
    programs = load_dataset(in_files)
    data = programs.torch(["median_ns", "disturbed"])
    batch = data.collate([data[0], data[1]])
    assert batch["median_ns"].dtype == torch.float64
    assert batch["median_ns"].tolist() == [programs[0]["median_ns"], programs[1]["median_ns"]]
    assert batch["disturbed"].dtype == torch.bool


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": ["flop"]}, 'Did you mean "flops"'),
        ({"columns": "flops"}, r"must be a list: \['flops'\]"),
        ({"columns": []}, "columns is empty"),
        ({"padding": "0"}, "padding is '0', and must be a number"),
        ({"missing": 1.5}, r"missing is 1\.5, and must be a whole number"),
        ({"columns": ["nodes.flop"]}, 'Did you mean "flops"'),
        ({"columns": ["flops.mean"]}, "It has no parts"),
        ({"ragged": "padding"}, "ragged is 'padding', and must be one of pad, list"),
        ({"raged": "pad"}, "There is no setting 'raged'. Did you mean \"ragged\""),
        ({"codes": {"flops": []}}, "which has no words"),
        ({"codes": {"op": []}}, "codes names 'op', which is not among the columns"),
    ],
)
def test_a_wrong_setting_is_answered(programs, settings, message):
    with pytest.raises(UserError, match=message):
        programs.torch(**settings)


def test_a_word_without_a_code_is_answered(programs):
    with pytest.raises(UserError, match="family has 'sequence', which its codes do not have"):
        list(programs.torch(["family"], codes={"family": ["matmul", "conv2d"]}))


def test_a_rank_that_is_no_number_is_answered(programs, monkeypatch):
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(UserError, match="The variable RANK is 'first', and must be a whole number"):
        programs.stream(["name"])


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"rank": 2, "world_size": 2}, "rank is 2 and world_size 2: a rank is from 0"),
        ({"rank": 0}, "one is given alone"),
    ],
)
def test_a_rank_that_there_cannot_be_is_answered(programs, place, message):
    with pytest.raises(UserError, match=message):
        programs.stream(**place)
