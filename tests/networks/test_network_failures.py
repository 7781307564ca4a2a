"""Networks whose own code fails in a run: each is a reject, and the others go on."""

from __future__ import annotations

import pytest
from helpers import made_dataset
from networks import SMALL, TRUSTED, generate, index_rows, planted, rejects


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A dataset of two networks that are fine, and of others whose code fails in one way each."""
    folder = tmp_path_factory.mktemp("failures")
    failing = [planted(name) for name in ("leaves", "imaginary", "objects")]
    done = generate(
        folder, *failing, planted("names_its_dtype"), SMALL, TRUSTED, "ops=[]", "check=execute", "save_weights=true"
    )
    assert done.stderr == ""
    return made_dataset(done, folder)


def test_the_others_go_on(dataset):
    assert list(index_rows(dataset)) == ["names_its_dtype", "small"]
    assert sorted(path.name for path in (dataset / "weights").iterdir()) == [
        *("names_its_dtype.safetensors", "small.safetensors")
    ]


def test_each_is_a_reject_with_what_was_raised(dataset):
    found = rejects(dataset)
    assert {name: reject["stage"] for name, reject in found.items()} == dict.fromkeys(
        ("imaginary", "leaves", "objects"), "emitted"
    )
    assert found["leaves"]["reason"] == "SystemExit: 3"
    assert found["imaginary"]["reason"].startswith("The network has a tensor of torch.complex64, and programs have")
    assert "KeyError: 'a key" in found["objects"]["reason"]
