"""docs/analyses.md is what the catalogue says today."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from common.study.catalogue import ANALYSES

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_of_analyses_is_made_from_the_catalogue() -> None:
    spec = spec_from_file_location("analyses_page", DOCS / "analyses.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (DOCS / "analyses.md").read_text(encoding="utf-8")
    assert written == module.page(), "write it anew: python docs/analyses.py"
    assert all(f"## {name}\n" in written for name in ANALYSES.names())
