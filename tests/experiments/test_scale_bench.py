"""What the benchmark of scale measures: sizes that were asked for, exponents, and all that a program starts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from common.errors import EngineError
from experiments.benchmarks import scale
from experiments.benchmarks._kept_rows import KeptRows
from experiments.benchmarks._scale_peers import loop
from experiments.benchmarks._scale_watch import Taken, watched

ROUNDS_OF_TWO = """
import subprocess, sys
for number in range(3):
    child = subprocess.run([sys.executable, "-c", "sum(i * i for i in range(400_000))"])
    with open(sys.argv[1], "a") as file:
        file.write("round\\n")
"""


@pytest.mark.parametrize(("power", "factor"), [(0.0, 3.0), (1.0, 0.5), (2.0, 7.0)])
def test_an_exponent_is_the_power_that_figures_grow_with(power: float, factor: float) -> None:
    sizes = [10.0, 100.0, 1000.0]
    assert scale.exponent(sizes, [factor * size**power for size in sizes]) == pytest.approx(power)


def test_one_size_has_no_exponent() -> None:
    assert scale.exponent([10.0], [3.0]) is None and scale.exponent([10.0, 10.0], [3.0, 4.0]) is None


@pytest.mark.parametrize("parameters", [1e5, 1e6, 1e7, 1e8])
def test_networks_have_the_parameters_that_their_rows_say(parameters: float) -> None:
    width = scale.Size("parameters", parameters=parameters).width
    exact = width * (scale.FEATURES + 1) + width * (width + 1) + scale.CLASSES * (width + 1)
    assert exact == pytest.approx(parameters, rel=0.01)


def test_a_round_is_counted_from_the_end_of_the_first() -> None:
    taken = Taken(marks=[(10.0, 4.0), (12.0, 5.0), (16.0, 10.0)])
    assert taken.start_cpu_s == 10.0 and taken.a_round() == (3.0, 3.0)


def test_sizes_beyond_the_limits_are_told_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "FOLDER", tmp_path / "rows")
    monkeypatch.delenv(scale.PEERS_PYTHON, raising=False)
    for variable, _ in scale.LIMITS.values():
        monkeypatch.setenv(variable, "0")
    measured = scale.measure(Console(quiet=True))
    assert len(measured.rows) == len(scale.SIZES) * len(scale.PROGRAMS)
    assert {row["note"] for row in measured.rows} == {"not run"}
    assert {target.met for target in measured.targets} == {None}


def test_what_a_program_and_its_children_take_is_read_round_by_round(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    taken = watched([sys.executable, "-c", ROUNDS_OF_TWO, str(marks)], marks, tmp_path / "log", 600)
    assert len(taken.marks) == 3 and sorted(taken.marks) == taken.marks
    assert taken.peak_mib > 1 and 0 < taken.marks[0][0] <= taken.cpu_s


def test_a_program_that_fails_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="it ended with 3: no such thing"):
        watched(
            [sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"],
            tmp_path / "no",
            tmp_path / "log",
            60,
        )


def test_a_row_that_failed_is_told_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(size: scale.Size, program: str) -> dict[str, float]:
        raise EngineError("no memory")

    monkeypatch.setattr(scale, "_measured", fails)
    kept = KeptRows(tmp_path, 1.0, Console(quiet=True))
    assert scale._row(kept, scale.SIZES[0], "bare loop", Console(quiet=True))["why"] == "it failed"


def test_the_bare_loop_trains_the_hospitals_of_the_pool(tmp_path: Path) -> None:
    size = scale.Size("hospitals", hospitals=10)
    scale._write_pool(tmp_path, size, ours=False)
    command, marks = scale._peer(tmp_path, size, "bare loop")
    settings = {**json.loads(Path(command[-1]).read_text()), "rounds": 2}
    loop(settings)
    assert marks.read_text() == "round\n" * 2
