"""`croissant.json`: a dataset described for programs, with what conferences want to know of it.

Formats: Croissant 1.1 (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html) and its vocabulary for
responsible AI (https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from mlir_datagen.dataset.card import citation
from mlir_datagen.dataset.licenses import license_url
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY, measured_files
from mlir_datagen.dataset.measurements import MEASUREMENT_COLUMNS
from mlir_datagen.dataset.paths import split_folder
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.dataset.schema import PLACE_COLUMNS, PROGRAM_COLUMNS
from mlir_datagen.presentation.responsible import provenance, responsible_ai
from mlir_datagen.version import GENERATOR_VERSION, RELEASE_DATE

CROISSANT = "croissant.json"

_CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
_PARQUET, _TEXT = "application/x-parquet", "text/plain"
_PROGRAMS, _TEXTS, _TIMES, _SPLITS = "programs", "texts", "measurements", "splits"


def croissant_file(dataset: Dataset) -> bytes:
    """Return the content of `croissant.json`.

    Its record sets are `splits`; `programs`, with a field for each column of the index; `texts`, where there are
    `.mlir` files; and `measurements`, where there are times. Lists of structures are fields with subfields, but for the
    loops of each node: Croissant has no lists within these.
    """
    # Only here, since it takes a second.
    import mlcroissant as mlc

    manifest = dataset.manifest
    times = measured_files(manifest.get(MEASUREMENTS_KEY, {}))
    indexes = [file for files in dataset.indexes.values() for file in files]
    digests = {**{file: manifest["files"][file] for file in indexes}, **times}
    distribution = [_file(mlc, dataset, file, digest) for file, digest in digests.items()]
    columns = {**PLACE_COLUMNS, **PROGRAM_COLUMNS}
    if manifest["storage"] == "files":
        del columns["mlir"]
    distribution.append(_file_set(mlc, _PROGRAMS, indexes, _PARQUET, "The indexes of all splits."))
    records = [_splits(mlc, dataset), _table(mlc, _PROGRAMS, columns, "A record for each program.")]
    if manifest["storage"] != "parquet":
        patterns = [f"{split_folder(split)}/*.mlir" for split in dataset.splits]
        distribution.append(_file_set(mlc, _TEXTS, patterns, _TEXT, "The programs, a file for each."))
        records.append(_texts(mlc))
    if times:
        distribution.append(_file_set(mlc, _TIMES, list(times), _PARQUET, "The measured times of all splits."))
        records.append(_table(mlc, _TIMES, MEASUREMENT_COLUMNS, "The time of one call of each program."))
    metadata = mlc.Metadata(
        name=f"{manifest['name']}-{manifest['fingerprint']}",
        description=f"{dataset.count()} MLIR programs with what is known of each, made by mlir_datagen.",
        conforms_to=_CONFORMS_TO,
        license=[license_url(name) for name in dataset.licenses],
        cite_as=citation(f"{manifest['name']}-{manifest['fingerprint']}", dataset.count()),
        creators=[mlc.Organization(name="The mlir_datagen authors")],
        date_published=RELEASE_DATE,
        version=f"{GENERATOR_VERSION}.0.0",
        keywords=["MLIR", "linalg", "compilers", "performance"],
        distribution=distribution,
        record_sets=records,
        **responsible_ai(dataset),
    )
    described = metadata.to_json()
    described["@context"]["prov"] = "http://www.w3.org/ns/prov#"
    described |= provenance(dataset)
    return (json.dumps(described, indent=2, ensure_ascii=False) + "\n").encode()


def _file(mlc: Any, dataset: Dataset, file: str, digest: str) -> Any:
    size = (dataset.folder / file).stat().st_size
    return mlc.FileObject(
        id=file, name=file, content_url=file, content_size=f"{size} B", encoding_formats=[_PARQUET], sha256=digest
    )


def _file_set(mlc: Any, name: str, includes: Sequence[str], encoding: str, description: str) -> Any:
    return mlc.FileSet(
        id=f"{name}-files", name=f"{name}-files", description=description, includes=list(includes),
        encoding_formats=[encoding],
    )  # fmt: skip


def _splits(mlc: Any, dataset: Dataset) -> Any:
    return mlc.RecordSet(
        id=_SPLITS,
        name=_SPLITS,
        description="The splits.",
        data_types=[mlc.DataType.SPLIT],
        key=f"{_SPLITS}/name",
        fields=[mlc.Field(id=f"{_SPLITS}/name", name="name", data_types=[mlc.DataType.TEXT])],
        data=[{f"{_SPLITS}/name": split} for split in dataset.splits],
    )


def _texts(mlc: Any) -> Any:
    fields = {"file": ("fullpath", "the path of its file"), "mlir": ("content", "its text")}
    return mlc.RecordSet(
        id=_TEXTS,
        name=_TEXTS,
        description="The text of each program, from its file.",
        key=f"{_TEXTS}/file",
        fields=[
            mlc.Field(
                id=f"{_TEXTS}/{name}",
                name=name,
                description=meaning,
                data_types=[mlc.DataType.TEXT],
                source=mlc.Source(file_set=f"{_TEXTS}-files", extract=mlc.Extract(file_property=extracted)),
            )
            for name, (extracted, meaning) in fields.items()
        ],
    )


def _table(mlc: Any, name: str, columns: Mapping[str, tuple[Any, str]], description: str) -> Any:
    """Return the record set of some files of Parquet, whose records a split and a name tell apart."""
    return mlc.RecordSet(
        id=name,
        name=name,
        description=description,
        key=[f"{name}/split", f"{name}/name"],
        fields=[_field(mlc, name, column, type_, meaning) for column, (type_, meaning) in columns.items()],
    )


def _field(mlc: Any, table: str, column: str, type_: Any, meaning: str) -> Any:
    """Return the field of a column; a list of structures has a subfield for each of their fields."""
    own = {"id": f"{table}/{column}", "name": column, "description": meaning}
    if not pa.types.is_list(type_) or not pa.types.is_struct(type_.value_type):
        return mlc.Field(**own, **_typed(mlc, type_), source=_source(mlc, table, column), **_reference(mlc, column))
    fields = [
        mlc.Field(
            id=f"{table}/{column}/{part.name}",
            name=part.name,
            **{**_typed(mlc, part.type), "is_array": True},
            source=_source(mlc, table, column, mlc.Transform(json_path=part.name)),
        )
        for part in type_.value_type
        if not pa.types.is_list(part.type) or not pa.types.is_struct(part.type.value_type)
    ]
    return mlc.Field(**own, is_array=True, sub_fields=fields)


def _typed(mlc: Any, type_: Any) -> dict[str, Any]:
    """Return what a field says of a type of Arrow."""
    if pa.types.is_list(type_):
        return {**_typed(mlc, type_.value_type), "is_array": True}
    names = {pa.string(): "TEXT", pa.int64(): "INTEGER", pa.float64(): "FLOAT", pa.bool_(): "BOOL"}
    return {"data_types": [getattr(mlc.DataType, names[type_])]}


def _source(mlc: Any, table: str, column: str, *transforms: Any) -> Any:
    return mlc.Source(file_set=f"{table}-files", extract=mlc.Extract(column=column), transforms=list(transforms))


def _reference(mlc: Any, column: str) -> dict[str, Any]:
    return {"references": mlc.Source(field=f"{_SPLITS}/name")} if column == "split" else {}
