"""The page with a program of every op."""

from __future__ import annotations

import re

from helpers import REPOSITORY, run_mlir_opt

from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.pipeline.gallery import gallery_page


def test_the_page_is_current_and_parses_on_an_mlir_that_is_not_ours():
    page = (REPOSITORY / "docs" / "programs.md").read_text()
    assert page == gallery_page(), "write it again: python scripts/list_programs.py > docs/programs.md"
    texts = re.findall(r"```mlir\n(.*?)```", page, re.DOTALL)
    assert len(texts) == len(PROGRAM_FAMILIES)
    done = run_mlir_opt(22, texts)
    assert done.returncode == 0, done.stderr
    assert "docs/programs.md" in (REPOSITORY / "README.md").read_text()
