"""Which part of the package imports which."""

from __future__ import annotations

import ast
import re

import pytest
from helpers import REPOSITORY

PACKAGE = REPOSITORY / "mlir_datagen"

ORDER = (
    {"errors"},
    {"foreign", "progress", "values", "version"},
    {"mlir", "nn"},
    {"ops"},
    {"programs"},
    {"proving"},
    {"dataset"},
    {"presentation"},
    {"networks"},
    {"sources"},
    {"config"},
    {"executors"},
    {"pipeline"},
    {"export", "loading", "verification"},
    {"converter", "generator"},
    {"command_line"},
    {"__init__"},
)
"""The parts of the package from below: each imports those of earlier lines alone."""

LIBRARIES = {
    "torch_mlir": ("mlir/",),
    "hydra": ("config/compose.py", "config/overrides.py", "command_line/generating.py"),
    "omegaconf": ("config/compose.py", "config/overrides.py", "command_line/generating.py"),
    "click": ("command_line/",),
    "matplotlib": ("presentation/pictures/",),
    "mlcroissant": ("presentation/croissant.py",),
    "distributed": ("executors/on_dask.py", "executors/local_dask.py", "executors/clusters.py"),
    "dask": ("executors/clusters.py",),
    "dask_jobqueue": ("executors/clusters.py",),
    # Networks, and what compares programs of other kinds with PyTorch.
    "torch": (
        "nn/",
        "networks/",
        "converter.py",
        "ops/",
        "mlir/element_types.py",
        "proving/eager.py",
        "proving/worker.py",
        "loading/torch_",
    ),
}
"""Who imports a library, wherever in a file it does."""

WRITERS = ("dataset/", "networks/isolated.py", "networks/worker.py", "config/compose.py")
"""Who writes files; beside the dataset's package, only into scratch folders that it lends."""
WRITING = {"write_text", "write_bytes", "mkdir", "rename", "touch", "write_table", "save", "save_file"}


def imported_modules(nodes, package=""):
    """Return the names of the modules that are imported, in functions and for types alone as well."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            inner = {f"{package}.{alias.name}" for alias in node.names}
            found |= inner if node.module == package else {node.module}
    return found


def wrong_imports(root, order):
    """Say which imports do not go down the order, and which the importing package's own text does not name."""
    ranks = {part: rank for rank, parts in enumerate(order) for part in parts}
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        part = place.parts[0].removesuffix(".py")
        for module in sorted(imported_modules(ast.walk(ast.parse(path.read_text())), root.name)):
            if not module.startswith(f"{root.name}.") or (other := module.split(".")[1]) == part:
                continue
            if ranks[other] >= ranks[part]:
                yield f"{place.as_posix()} imports {other}, which is not below it"
            elif (root / part).is_dir() and (root / other).is_dir() and other not in may_import(root / part):
                yield f"{place.as_posix()} imports {other}, which the package's text does not say"


def may_import(package):
    """Return the packages that a package's text names."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    return re.search(r"^May import: (.*)\.$", text, re.MULTILINE)[1].split(", ")


def test_packages_import_one_way():
    assert list(wrong_imports(PACKAGE, ORDER)) == []


def test_every_part_has_its_place():
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(part for parts in ORDER for part in parts) == sorted(parts)


@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        ("low/__init__.py", "from whole.high.a import x", "low/__init__.py imports high, which is not below it"),
        ("low/deep/b.py", "def f():\n    import whole.high", "low/deep/b.py imports high, which is not below it"),
        ("low/b.py", "if TYPE_CHECKING:\n    from whole import high", "low/b.py imports high, which is not below it"),
        ("ground.py", "from whole.low import a", "ground.py imports low, which is not below it"),
        ("high/a.py", "from whole import middle", "high/a.py imports middle, which the package's text does not say"),
        ("high/a.py", "from whole.low import a\nfrom whole.ground import x\nimport whole.high.a, torch", None),
    ],
)
def test_a_wrong_import_is_seen(file, line, wrong, tmp_path):
    root = tmp_path / "whole"
    for package, may in {"low": "no other package", "middle": "low", "high": "low"}.items():
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").write_text(f'"""A package.\n\nMay import: {may}.\n"""\n')
    path = root / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + line)
    order = ({"ground"}, {"low"}, {"middle"}, {"high"})
    assert list(wrong_imports(root, order)) == ([] if wrong is None else [wrong])


def test_boundaries():
    """Libraries have their places, PyTorch is imported when used, and only dataset/ writes and command_line/ prints."""
    heavy = {"mlcroissant", "torch", "torchvision", "transformers", "pandas", "matplotlib", "dask_jobqueue"}
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text())
        at_import, imported = (
            {module.split(".")[0] for module in imported_modules(nodes)} for nodes in (tree.body, ast.walk(tree))
        )
        for library, places in LIBRARIES.items():
            assert library not in imported or place.startswith(places), place
        assert not at_import & heavy or (
            place.startswith(("nn/", "networks/", "loading/torch_")) and at_import & heavy == {"torch"}
        ), place
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        writes = any(isinstance(call, ast.Attribute) and call.attr in WRITING for call in calls)
        assert not writes or place.startswith(WRITERS), place
        prints = any(isinstance(call, ast.Name) and call.id == "print" for call in calls)
        assert not prints or place.startswith("command_line/"), place
