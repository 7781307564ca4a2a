"""The folders that exporters write into a dataset: each with a record of its files, and no part of the digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlir_datagen import foreign
from mlir_datagen.dataset.disk_errors import exportable
from mlir_datagen.dataset.files_folder import replace_folder
from mlir_datagen.dataset.finished import changed_files
from mlir_datagen.dataset.staging import Staging
from mlir_datagen.errors import UserError

RECORD = "export.json"
"""What an export is of, and the sha256 of its files; it is written last."""

DIGEST_KEY = "dataset_digest"
ACCOUNT_KEY = "account"


class ExportWriter:
    """Writes the files of an export, and keeps their digests."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._digests: dict[str, str] = {}
        self._folders: set[Path] = set()

    def add(self, file: str, text: str) -> None:
        """Write a file; its folder is made when it is missing."""
        path = self._root / file
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        data = text.encode()
        path.write_bytes(data)
        self._digests[file] = hashlib.sha256(data).hexdigest()

    def add_json(self, file: str, content: Any) -> None:
        """Write plain values as JSON."""
        self.add(file, json.dumps(content, indent=2) + "\n")

    def finish(self, identity: Mapping[str, Any], account: Mapping[str, Any]) -> dict[str, Any]:
        """Write the record and return it."""
        record = {**identity, ACCOUNT_KEY: account, "files": self._digests}
        (self._root / RECORD).write_text(json.dumps(record, indent=2) + "\n")
        return record


def find_export(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record of the export that an identity describes, if it is there.

    An older one of the same dataset may be replaced.

    Args:
        folder: where it is.
        identity: what decides what is in it.

    Raises:
        UserError: when something else is in the way: it would be lost.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise _in_the_way(folder, "it is not a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return None
    record = _read_record(folder)
    if record is None:
        raise _in_the_way(folder, f"it has no readable {RECORD}, so it was not exported by this program")
    if record.get(DIGEST_KEY) != identity[DIGEST_KEY]:
        raise _in_the_way(folder, "it was exported from another dataset")
    if problems := _problems(folder, record):
        raise _in_the_way(folder, f"since it was exported, {_shown(problems)}")
    return record if all(record.get(key) == value for key, value in identity.items()) else None


def publish_export(
    folder: Path,
    identity: Mapping[str, Any],
    write: Callable[[ExportWriter], Mapping[str, Any]],
    on_wait: Callable[[], object] = lambda: None,
) -> tuple[dict[str, Any], bool]:
    """Write an export and give it its name in one step, unless it is there already.

    Args:
        folder: where it goes, within the dataset's folder.
        identity: what decides what is in it.
        write: writes the files, and returns the account of what is in them.
        on_wait: called when another process is writing the same export.

    Returns:
        Its record, and whether it was there already.

    Raises:
        UserError: when something else is in the way, or the folder cannot be written.
    """
    if (record := find_export(folder, identity)) is not None:
        return record, True
    # Beside the dataset, where what a kill leaves is not a file that does not belong to it.
    beside = folder.parent.with_name(f".{folder.parent.name}.{folder.name}.partial")
    with Staging(folder, on_wait, beside, exportable) as staging:
        # Again, now that nobody else can be writing it.
        if (record := find_export(folder, identity)) is not None:
            return record, True
        with exportable(staging.path):
            writer = ExportWriter(staging.path)
            record = writer.finish(identity, write(writer))
        replace_folder(staging)
    return record, False


def check_exports(dataset: Path, digest: str) -> dict[str, list[str]]:
    """Return the files, relative to the dataset, of each export in it.

    Raises:
        UserError: when a file of an export was changed, or is missing.
    """
    exports = {}
    for path in sorted(dataset.iterdir()):
        record = _read_record(path) if path.is_dir() and not path.is_symlink() else None
        if record is None or record.get(DIGEST_KEY) != digest:
            continue
        if changed := list(changed_files(path, record["files"])):
            raise UserError(
                f"The export {path} is damaged: {_shown(changed)}. The dataset itself is not touched by that. Delete "
                f"{path} and export again: python scripts/export.py {record.get('exporter')} {dataset}"
            )
        exports[path.name] = [f"{path.name}/{file}" for file in (*record["files"], RECORD)]
    return exports


def _read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of an export; None when there is none of its form."""
    try:
        record = foreign.read_json(folder / RECORD)
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or not isinstance(files := record.get("files"), dict):
        return None
    return record if all(isinstance(digest, str) for digest in files.values()) else None


def _problems(folder: Path, record: Mapping[str, Any]) -> list[str]:
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    foreign = sorted(present - {*record["files"], RECORD})
    return [*(f"{file} was added" for file in foreign), *changed_files(folder, record["files"])]


def _shown(problems: list[str]) -> str:
    return f"{problems[0]}{f' (and {len(problems) - 1} more)' if len(problems) > 1 else ''}"


def _in_the_way(folder: Path, what: str) -> UserError:
    return UserError(
        f"{folder} is in the way: {what}. The export would replace it. Move it away or delete it, and type the same "
        "command again."
    )
