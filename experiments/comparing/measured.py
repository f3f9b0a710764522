"""Runs' final scores beside each other, and how sure their differences are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import WardroundError
from common.files.access import read_text
from common.seeding import generator
from common.study.study import parse
from experiments.running.bootstrap import FEWEST_PERSONS, Interval, differences, intervals
from experiments.running.patient_scores import PatientScores, score_patients
from server.reporting.folder import read_run
from server.reporting.losses import Losses
from server.reporting.records import Run

SEED = 0


@dataclass(frozen=True)
class Compared:
    """Runs, the first being what the others are compared with.

    names: short ones, all different. intervals: of each run's scores, where its patients are on this machine.
    differences: of each other run, by its place. patients: how many persons a run shares with the first. unknown: why
    there is no interval, by the run's place.
    """

    runs: tuple[Run, ...]
    names: tuple[str, ...]
    intervals: Mapping[int, Mapping[str, Interval]] = field(default_factory=dict)
    differences: Mapping[int, Mapping[str, Interval]] = field(default_factory=dict)
    patients: Mapping[int, int] = field(default_factory=dict)
    unknown: Mapping[int, str] = field(default_factory=dict)


def compare_runs(folders: Sequence[Path]) -> Compared:
    """Read the runs; score their models patient by patient where the data are here. Raises WardroundError."""
    runs = tuple(read_run(folder) for folder in folders)
    scored: dict[int, PatientScores] = {}
    unknown: dict[int, str] = {}
    for place, (folder, run) in enumerate(zip(folders, runs, strict=True)):
        try:
            scored[place] = _scored(folder, run)
        except WardroundError as error:
            unknown[place] = str(error)
    own = {place: intervals(scores, generator(SEED, "bootstrap")) for place, scores in scored.items()}
    for place, scores in scored.items():
        if len(scores.persons) < FEWEST_PERSONS:
            unknown[place] = f"it has {len(scores.persons)} test patients, fewer than {FEWEST_PERSONS}."
    found: dict[int, Mapping[str, Interval]] = {}
    shared: dict[int, int] = {}
    for place in scored.keys() - {0} if 0 in scored else ():
        shared[place] = len(set(scored[0].persons) & set(scored[place].persons))
        if shared[place] < FEWEST_PERSONS:
            unknown.setdefault(place, f"it has {shared[place]} test patients in common with the first run.")
            continue
        found[place] = differences(scored[0], scored[place], generator(SEED, "bootstrap"))
    return Compared(runs, short_names(folders), own, found, shared, unknown)


def short_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """As much of the paths' ends as tells them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = tuple("/".join(one[-length:]) for one in parts)
        if len(set(names)) == len(names):
            return names
    return tuple(f"{folder} ({place})" for place, folder in enumerate(folders, 1))


def _scored(folder: Path, run: Run) -> PatientScores:
    if run.about.engine == "deployment":
        raise WardroundError("its hospitals are not on this machine, and no patient's score leaves them.")
    return score_patients(parse(read_text(folder, "study.toml")), folder, Losses(run).took_part)
