"""What docs/segmentation.md says of methods is borne out by the figures that its script measures."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("segmentation_page", DOCS / "segmentation_page.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


def test_every_lesson_but_that_of_atlases_is_borne_out(script: ModuleType) -> None:
    sections = [script.noise_section(), script.scanner_section(), script.leak_section(), script.seed_section()]
    noise, scanners, leaks, seeds = ([[_number(cell) for cell in row] for row in one.table[1:]] for one in sections)
    assert all(later[1] < before[1] and later[2] >= before[2] for before, later in pairwise(noise))
    assert scanners[-1][3] < 0.6 * scanners[-1][2] and all(row[4] < row[2] for row in scanners)
    assert min(row[4] for row in scanners) > 0.7
    closed, narrow, wide = leaks
    assert closed[2] == closed[4] == 0 and narrow[4] < 100
    assert min(narrow[2], wide[2], wide[4]) > 1000
    (half,) = (row for row in seeds if row[0] == 0.5)
    assert half[1] < 0.1 and half[3] > 0.9 and seeds[-1][1] > half[1] + 0.3
    written = (DOCS / "segmentation.md").read_text(encoding="utf-8")
    assert all(f"## {one.title}\n\n{one.words}\n" in written for one in sections), "python docs/segmentation_page.py"


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")
