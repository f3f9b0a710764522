"""What every benchmark must return."""

from __future__ import annotations

import inspect
import json
from functools import lru_cache
from math import isfinite
from typing import Any

import pytest
from rich.console import Console

from experiments.benchmark import Benchmark, Measured, Target, as_json


class BenchmarkTests:
    """Inherit, and bind `benchmark = staticmethod(measure)`. It is run once."""

    benchmark: Benchmark

    @pytest.fixture
    def measured(self) -> Any:
        """What it returned."""
        bound = inspect.getattr_static(type(self), "benchmark", None) or inspect.getattr_static(self, "benchmark")
        return _measured(getattr(bound, "__func__", bound))

    def test_it_returns_a_table_whose_rows_share_their_columns(self, measured: Any) -> None:
        """They are printed one below the other. Mend: return Measured(title, rows, targets); None for no figure."""
        assert isinstance(measured, Measured), f"it returned {type(measured).__name__}"
        assert measured.title and measured.rows, "no title, or no row"
        columns = list(measured.rows[0])
        assert all(list(row) == columns for row in measured.rows), f"not every row has the columns {columns}"
        cells = [cell for row in measured.rows for cell in row.values()]
        strange = [cell for cell in cells if not isinstance(cell, str | int | float | None)]
        assert not strange, f"{strange[:3]} are no text and no number"

    def test_its_figures_are_finite_and_can_be_written_as_json(self, measured: Any) -> None:
        """A table that nobody can read measured nothing. Mend: None for what could not be measured."""
        numbers = [cell for row in measured.rows for cell in row.values() if isinstance(cell, float)]
        assert all(isfinite(number) for number in numbers), "a figure is not finite"
        json.dumps(as_json(measured), allow_nan=False)

    def test_its_targets_say_what_was_aimed_at(self, measured: Any) -> None:
        """Ours stands beside a peer's or a bound. Mend: Target(name, ours, peer, bound, "in words", met)."""
        for target in measured.targets:
            assert isinstance(target, Target) and target.name and target.target, f"{target} says nothing"
            assert target.met is None or target.ours is not None, f"{target.name} is met or not without a figure"


@lru_cache(maxsize=8)
def _measured(measure: Benchmark) -> Measured:
    return measure(Console(quiet=True))
