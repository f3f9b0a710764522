"""A study in nodes through every fault, and long runs under a seeded schedule of kills: what was lost, and how long.

WARDROUND_DRILLS_FOLDER keeps everything, and whoever is interrupted goes on there with the next call.
WARDROUND_DRILLS_KILLS is how many kills each long run takes (50), WARDROUND_DRILLS_MINUTES when a call ends, and
WARDROUND_DRILLS names what is done, of: faults, bundle, plain, scaffold, dpsgd, secagg; all where it is not set.
Hospitals approved the program that a long run was begun with: it goes on with no other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from rich.console import Console

from common.errors import StudyError
from common.files.access import if_there, private_folder
from common.files.json_files import read_json, write_json
from common.study.spelling import unknown
from experiments.benchmark import Benchmark, Cell, Measured, Target, show
from experiments.benchmarks._drill_faults import BOUND_S, DRILLS
from experiments.benchmarks._drill_schedules import KILLS, SEED, Scheduled, scheduled
from experiments.benchmarks._drill_studies import ALGORITHMS
from experiments.benchmarks._drill_table import Row, row_of
from experiments.benchmarks._planted_bundle import our_nodes_run_it, stock_nodes_run_it

FOLDER, HOW_MANY, MINUTES, WHICH = (f"WARDROUND_DRILLS{word}" for word in ("_FOLDER", "_KILLS", "_MINUTES", ""))
FAULTS, BUNDLE, ROWS = "faults", "bundle", "rows.json"
EVERYTHING = (FAULTS, BUNDLE, *ALGORITHMS)


def measure(console: Console) -> Measured:
    """The faults in one table; the long runs, each of which is printed as it ends, in the targets and notes."""
    which, kills, until = _which(), int(_number(HOW_MANY, KILLS)), monotonic() + 60 * _number(MINUTES, 1e6)
    with _place() as place:
        rows = list(_faults(place, until)) if FAULTS in which else []
        rows += [_of_bundle(place)] if BUNDLE in which else []
        runs = []
        for algorithm in (one for one in ALGORITHMS if one in which):
            runs.append(scheduled(algorithm, private_folder(place, f"{algorithm}-{kills}"), kills, until))
            show(Measured(f"Killed by the schedule of seed {SEED}", [runs[-1].cells()], ()), console, None)
    targets = [*_targets_of_rows(rows), *(target for run in runs for target in _targets_of_run(run))]
    return Measured("Drills: a study in three nodes and its faults", rows, targets, _notes(runs))


def _faults(place: Path, until: float) -> Iterator[Mapping[str, Cell]]:
    """One row each; those of earlier calls are kept."""
    known: dict[str, Mapping[str, Cell]] = if_there(read_json, place, ROWS) or {}
    for one in DRILLS:
        if one.name not in known and monotonic() < until:
            row = row_of(one, private_folder(place, re.sub(r"\W+", "-", one.name)))
            known[one.name] = {**row.cells(), "holds": "yes" if row.holds else "no"}
            write_json(place, ROWS, known)
        if one.name in known:
            yield known[one.name]


def _of_bundle(place: Path) -> Mapping[str, Cell]:
    """A row for the line that somebody planted in what travels."""
    ours, stock = our_nodes_run_it(place), stock_nodes_run_it(place)
    empty: dict[str, Cell] = dict.fromkeys(Row(DRILLS[0]).cells())
    words = {True: "RUN by nodes", False: "not run"}
    told = {"fault": "a bundle that writes a file", "lost": words[ours], "stock Flower": words[stock]}
    return {**empty, **told, "holds": "no" if ours else "yes"}


def _targets_of_rows(rows: Sequence[Mapping[str, Cell]]) -> Iterator[Target]:
    drilled = [row for row in rows if not str(row["people are told"]).startswith("not drilled")]
    if drilled:
        holds = sum(row["holds"] == "yes" for row in drilled)
        yield Target("faults without a loss", holds, None, len(drilled), "all", holds == len(drilled))
        stalls = [float(row["stall s"]) for row in drilled if isinstance(row["stall s"], (int, float))]
        if stalls:
            worst = max(stalls)
            yield Target("longest stall, s", worst, None, BOUND_S, f"<= {BOUND_S:g}", worst <= BOUND_S)


def _targets_of_run(run: Scheduled) -> Iterator[Target]:
    name, is_over = f"{run.algorithm}, {run.asked} kills", run.state != "unfinished"
    met = run.holds if is_over else None
    yield Target(f"{name}: nothing lost", len(run.lost), None, 0, "none, same model", met)
    late = sum(run.too_long.values())
    yield Target(f"{name}: stalls > {BOUND_S:g} s", late, None, 0, "none", late == 0 if is_over else None)


def _notes(runs: Sequence[Scheduled]) -> Sequence[str]:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"Load of the last 1, 5 and 15 minutes at the end: {load}, on {os.cpu_count()} cores.",
        "Stall: from the fault to the next finished round, less what the fault itself lasts and a usual round.",
        f"Bound: a request is asked again after {BOUND_S - 10:g} s; 10 s more are granted.",
        "begun: runs at Flower, one more than the server app had to be begun again.",
        *(f"{run.algorithm}: {run.cells()['worst stall s'] or 'no stall'}" for run in runs),
    )


@contextmanager
def _place() -> Iterator[Path]:
    said = os.environ.get(FOLDER, "")
    if said:
        yield private_folder(Path(said)).resolve()
        return
    with TemporaryDirectory(prefix="wardround-drills-") as made:
        yield Path(made).resolve()


def _which() -> Sequence[str]:
    asked = os.environ.get(WHICH, "").replace(",", " ").split()
    for one in asked:
        if one not in EVERYTHING:
            raise unknown("drill", one, EVERYTHING)
    return asked or EVERYTHING


def _number(name: str, default: float) -> float:
    said = os.environ.get(name, "")
    try:
        value = float(said) if said else float(default)
    except ValueError:
        value = -1.0
    if value <= 0:
        raise StudyError(f"{name} must be a number above 0; it is {said!r}.")
    return value


benchmark: Benchmark = measure
