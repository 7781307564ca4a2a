"""The card: what Hugging Face reads of its head, and what load_dataset gives without any code of ours."""

from __future__ import annotations

import shutil

import datasets
import pytest
import yaml
from helpers import config
from huggingface_hub import DatasetCard

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.card_sections import bare_card, with_pictures, with_times
from mlir_datagen.dataset.licenses import LICENSES, license_url
from mlir_datagen.dataset.manifest import read_manifest
from mlir_datagen.dataset.measurements import read_measurements, record_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import generate
from mlir_datagen.programs.proof import Measurement
from mlir_datagen.verification import verify_dataset

TIME = Measurement(1.5, 1.0, 0.5, 5, 2, 10, 1.6, False, 1000, "0a")
SESSION = {"machines": [{"id": "0a", "cpu": "one"}]}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A dataset with several files of Parquet, a suite, and times of all programs but one. Tests must not change it."""
    folder = tmp_path_factory.mktemp("measured")
    settings = ["experiment=tiny", "programs_per_file=8", "suites=[gemm]", f"output_dir={folder}"]
    made = generate(compose_config(settings)).path
    record(made, [(program.split, program.name) for program in Dataset(made).programs()][1:], 1)
    return made


def record(folder, places, failed):
    times = [(split, name, TIME) for split, name in places]
    record_measurements(folder, read_manifest(folder), times, SESSION, failed)


def loaded(folder, cache, *name):
    return datasets.load_dataset(str(folder), *name, cache_dir=str(cache))


def places(splits):
    return {split: [(row["split"], row["name"]) for row in rows] for split, rows in splits.items()}


def test_each_config_has_the_right_splits(measured, tmp_path):
    expected = {split: [] for split in Dataset(measured).splits}
    for program in Dataset(measured).programs():
        expected[program.split].append((program.split, program.name))
    programs = loaded(measured, tmp_path)
    assert len(Dataset(measured).index_files("train")) == 3
    assert places(programs) == expected
    assert programs["train"][0]["mlir"] == (measured / programs["train"][0]["file"]).read_text()
    first = next(iter(expected))
    expected[first] = expected[first][1:]
    times = loaded(measured, tmp_path, "measurements")
    assert places(times) == expected
    assert times["test"][0]["median_ns"] == 1.5


def test_without_text_or_times_there_is_neither(tmp_path):
    made = generate(compose_config(["experiment=tiny", "storage=files", f"output_dir={tmp_path}"])).path
    assert "mlir" not in loaded(made, tmp_path / "cache")["train"].column_names
    with pytest.raises(ValueError, match=r"Available: \['default'\]"):
        loaded(made, tmp_path / "cache", "measurements")
    record(made, [("test", "matmul_0000")], 23)
    assert places(loaded(made, tmp_path / "cache", "measurements")) == {"test": [("test", "matmul_0000")]}
    record(made, [], 24)
    assert not (made / "measurements").exists()
    with pytest.raises(ValueError, match=r"Available: \['default'\]"):
        loaded(made, tmp_path / "cache", "measurements")


def test_the_head_is_what_hugging_face_knows(measured):
    card = DatasetCard.load(measured / "README.md")
    head = card.data.to_dict()
    assert head["license"] == "apache-2.0"
    assert head["language"] == ["code"]
    assert set(head["task_categories"]) == {"reinforcement-learning", "tabular-regression"}
    assert head["size_categories"] == ["n<1K"]
    assert [one["config_name"] for one in head["configs"]] == ["default", "measurements"]
    assert "## Citation" in card.text
    assert "@misc{tiny-" in card.text


def test_a_wrong_split_in_the_times_is_found(measured, tmp_path):
    folder = shutil.copytree(measured, tmp_path / "copy")
    assert len(read_measurements(folder)) == Dataset(folder).count() - 1
    (folder / "measurements" / "test.parquet").rename(folder / "aside")
    (folder / "measurements" / "train.parquet").rename(folder / "measurements" / "test.parquet")
    (folder / "aside").rename(folder / "measurements" / "train.parquet")
    with pytest.raises(UserError, match=r"test\.parquet was changed"):
        verify_dataset(folder)
    with pytest.raises(UserError, match="it has the time of a program of another split"):
        read_measurements(folder)


def test_a_card_is_compared_without_what_comes_later(measured):
    plain = (measured / "README.md").read_text()
    told = read_manifest(measured)["measurements"]
    shown = with_pictures(plain, {"pictures/one.png": "one thing", "pictures/two.png": "another"})
    assert "![one thing](pictures/one.png)\n\n![another](pictures/two.png)\n" in shown
    assert "\n`report.html` has the programs and these figures" in shown.partition("<!-- end of pictures -->")[0]
    assert with_pictures(shown, {}) == plain
    assert with_times(shown, told) == shown
    bare = bare_card(shown)
    assert bare == bare_card(plain) == bare_card(bare)
    assert "config_name: measurements" not in bare
    assert yaml.safe_load(bare.split("---\n")[1])["configs"][0]["config_name"] == "default"
    assert "## Times" not in bare


def test_the_licence_is_a_setting():
    default, other = config(), config(license="cc-by-4.0")
    assert default.fingerprint == config(license="apache-2.0").fingerprint != other.fingerprint
    assert "license" not in default.to_saved()
    assert other.to_saved()["license"] == "cc-by-4.0"
    with pytest.raises(UserError, match=r'license is \'cc-by-4\', .* Did you mean "cc-by-4\.0"\?'):
        config(license="cc-by-4")
    assert len(set(map(license_url, LICENSES))) == len(LICENSES)


def test_only_where_programs_are_drawn_does_their_content_decide_the_split(measured, tmp_path):
    said = "A program's split is decided by its content"
    assert said in (measured / "README.md").read_text()
    suite = generate(compose_config(["ops=[]", "suites=[gemm]", f"output_dir={tmp_path}"])).path
    assert said not in (suite / "README.md").read_text()
    verify_dataset(suite)


def test_the_licences_of_datasets_that_are_merged(tmp_path):
    ones = [
        generate(compose_config(["experiment=tiny", f"seed={seed}", f"license={name}", f"output_dir={tmp_path}"])).path
        for seed, name in ((1, "mit"), (2, "cc0-1.0"))
    ]
    both = generate(config_of_merge(ones, tmp_path)).path
    assert DatasetCard.load(both / "README.md").data.to_dict()["license"] == ["cc0-1.0", "mit"]
    assert Dataset(both).licenses == ["cc0-1.0", "mit"]
    assert "are under different licences" in (both / "README.md").read_text()
    verify_dataset(both)
    with pytest.raises(UserError, match="license cannot be chosen where datasets are merged"):
        generate(config_of_merge(ones, tmp_path, "license=zlib"))


def config_of_merge(folders, output_dir, *more):
    merged = ",".join(map(str, folders))
    return compose_config(["ops=[]", f"merge=[{merged}]", "name=merged", f"output_dir={output_dir}", *more])
