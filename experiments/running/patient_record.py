"""`patients.json`: what the final model says of each test patient of a simulation, and how sure its scores are.

Only where all hospitals are on this machine: of a real one no single patient's score or answer ever leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from client import patient_scores as own_scores
from client.hospital import Hospital
from client.subgroups import cells_of_persons
from common.data.cases import Cases, SiteId
from common.learning.abilities import can, compares_patients, presented
from common.learning.device import exact_copy, home
from common.metrics.intervals import MOMENT
from common.metrics.roc import with_auc
from common.seeding import generator
from common.study.study import Study
from common.sums.mean import Mean
from experiments.running.after_run import participants
from experiments.running.bootstrap import FEWEST_DEFINED, LEVEL, SAMPLES, intervals
from experiments.running.patient_scores import NO_ONE_MODEL, PatientScores, score_patients
from server.run_folder import RunFolder

FILE = "patients.json"
MOST_PATIENTS = 2000
"""Of more, single scores would cost more than they tell; the record then says so."""
FEWEST_PATIENTS = 5
MOST_CASES = 5000
MOST_CLASSES = 32
SPLITS = ("train", "validation", "test")
CASES_A_BATCH = 256


def write_patients(study: Study, folder: Path) -> PatientScores | None:
    """The record of the run in `folder`; None where its patients are too many, or each hospital has a model of its
    own, which the record then says."""
    sites = participants(folder)
    patients = _tested(folder, sites)
    if study.training.personal or patients > MOST_PATIENTS:
        many = f"there are {patients} test patients, and single ones are looked at of at most {MOST_PATIENTS}"
        why = NO_ONE_MODEL if study.training.personal else many
        RunFolder(folder).write_json(FILE, {"why_not": why})
        return None
    scores = score_patients(study, folder, sites)
    RunFolder(folder).write_json(FILE, record_of(study, scores, folder))
    return scores


def record_of(study: Study, scores: PatientScores, folder: Path) -> dict[str, Any]:
    """Plain JSON values."""
    found = intervals(scores, generator(study.seed, "report")) if scores.persons else {}
    return {
        "split": scores.split,
        "intervals": {name: [one.low, one.high] for name, one in found.items()},
        "patients": _patients(scores),
        "gains": _gains(study, scores, folder),
        "cases": _answers(scores),
        "subgroups": _subgroups(study, scores),
        "represented": _represented(study, scores.hospitals),
    }


def _tested(folder: Path, sites: Sequence[SiteId]) -> int:
    from server.reporting.folder import read_run

    return sum(one.patients.get("test", 0) for one in read_run(folder).roster.holdings if one.site in sites)


def _patients(scores: PatientScores) -> list[dict[str, Any]]:
    """Of each its scores alone. Of a task that compares patients, only those that one patient has."""
    return [
        {"site": site, "patient": patient, "scores": _finite(_own(scores, means))}
        for (site, patient), means in zip(scores.persons, scores.means, strict=True)
    ]


def _own(scores: PatientScores, means: Mapping[str, Mean]) -> Mapping[str, float | None]:
    """Without what is made of moments of features: how far cases lie apart says nothing of one patient's."""
    values, known = presented(scores.task, with_auc(means)), with_auc(means)
    if not any(name.startswith(MOMENT) for name in means):
        return values
    return {name: value for name, value in values.items() if name in known}


def _finite(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None and np.isfinite(value)}


def _gains(study: Study, scores: PatientScores, folder: Path) -> dict[str, list[float]]:
    """By hospital what its patients gain: the headline, federated minus own, and its interval, paired by patient."""
    found: dict[str, list[float]] = {}
    headline = scores.task.headline
    for site in sorted({site for site, _ in scores.persons} if not compares_patients(scores.task) else ()):
        own = own_scores.read(folder / "hospitals" / site)
        mine = [(means, own[patient]) for (at, patient), means in _each(scores) if at == site and patient in own]
        if len(mine) < FEWEST_PATIENTS:
            continue
        rng = generator(study.seed, "report", "gain", site)
        times = rng.multinomial(len(mine), np.full(len(mine), 1 / len(mine)), size=SAMPLES)
        ones = np.ones((1, len(mine)), np.int64)
        federated, alone = ([pair[k] for pair in mine] for k in (0, 1))
        values = _resampled(scores, federated, ones, headline) - _resampled(scores, alone, ones, headline)
        samples = _resampled(scores, federated, times, headline) - _resampled(scores, alone, times, headline)
        defined = samples[np.isfinite(samples)]
        if np.isfinite(values[0]) and len(defined) >= FEWEST_DEFINED * SAMPLES:
            tail = (1 - LEVEL) / 2
            found[site] = [float(values[0]), *map(float, np.quantile(defined, [tail, 1 - tail])), len(mine)]
    return found


def _each(scores: PatientScores) -> list[tuple[tuple[SiteId, str], Mapping[str, Mean]]]:
    return list(zip(scores.persons, scores.means, strict=True))


def _resampled(
    scores: PatientScores, means: Sequence[Mapping[str, Mean]], times: NDArray[np.int64], headline: str
) -> NDArray[np.float64]:
    """(samples,) of the headline, NaN where it is not defined."""
    if not can(scores.task, "presented") and all(headline in one for one in means):
        means = [{headline: one[headline]} for one in means]
    part = PatientScores(scores.task, tuple(("", "") for _ in means), tuple(means), (), scores.split)
    values = [one.get(headline) for one in part.resampled(times)]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _answers(scores: PatientScores) -> dict[str, Any]:
    """Case by case what is true and what the model answers; {} where an answer is no number or class."""
    parts = [_of_hospital(hospital, hospital.splits[scores.split]) for hospital in scores.hospitals]
    kept = [one for one in parts if one]
    if not kept or len({one["kind"] for one in kept}) > 1 or sum(len(one["true"]) for one in kept) > MOST_CASES:
        return {}
    columns = [name for name in kept[0] if name != "kind"]
    return {"kind": kept[0]["kind"], **{name: [value for one in kept for value in one[name]] for name in columns}}


def _of_hospital(hospital: Hospital, cases: Cases) -> dict[str, Any]:
    targets = cases.columns["targets"]
    if not len(cases) or targets.item not in ((), (2,)):
        return {}
    whose = {"site": [hospital.site] * len(cases), "patient": [str(one) for one in cases.patients]}
    true = cases.targets
    if cases.classes and not targets.item and can(hospital.task, "logits"):
        chances = _asked(hospital, cases, "logits")
        if chances is None or chances.ndim != 2 or chances.shape[1] > MOST_CLASSES:
            return {}
        shares = torch.from_numpy(chances).softmax(1).numpy().round(6)
        return {"kind": "classes", **whose, "true": true.tolist(), "chances": shares.tolist()}
    answers = None if cases.classes else _asked(hospital, cases, "predict")
    if answers is None:
        return {}
    if targets.item == (2,) and "event" in cases.columns:
        risks = answers if answers.ndim == 1 else 1 - answers[:, -1]
        return {
            "kind": "survival",
            **whose,
            "true": true[:, 0].tolist(),
            "event": (true[:, 1] > 0).astype(int).tolist(),
            "risk": risks.tolist(),
        }
    if not targets.item and answers.ndim == 1:
        return {"kind": "numbers", **whose, "true": true.tolist(), "answer": answers.tolist()}
    return {}


def _asked(hospital: Hospital, cases: Cases, method: str) -> NDArray[np.float64] | None:
    """(N, ...) answers in float64; None where one is not finite."""
    network = exact_copy(hospital.network.eval())
    device = home(network)
    with torch.no_grad():
        parts = [
            getattr(hospital.task, method)(
                network, cases.batch(slice(at, at + CASES_A_BATCH)).inputs.double().to(device)
            )
            for at in range(0, len(cases), CASES_A_BATCH)
        ]
    found = torch.cat(parts).cpu().double().numpy()
    return found if np.isfinite(found).all() else None


def _subgroups(study: Study, scores: PatientScores) -> list[dict[str, Any]]:
    """As `final.json` has them from sums, but of the persons of all hospitals, with the bootstrap's intervals."""
    rows: list[dict[str, Any]] = []
    for grouping in study.report.groupings:
        of_cell: dict[int, set[tuple[SiteId, str]]] = {}
        for hospital in scores.hospitals:
            for cell, names in _cells(grouping, hospital.splits[scores.split]).items():
                of_cell.setdefault(cell, set()).update((hospital.site, name) for name in names)
        for cell, name in enumerate(grouping.cells):
            persons = of_cell.get(cell, set())
            row: dict[str, Any] = {"column": grouping.column, "cell": name, "persons": len(persons)}
            if len(persons) >= study.report.least_cell:
                own = scores.restricted(persons)
                found = intervals(own, generator(study.seed, "report", grouping.column, cell))
                row |= {
                    "scores": _finite(own.of_all()),
                    "intervals": {key: [one.low, one.high] for key, one in found.items()},
                }
            rows.append(row)
    return rows


def _cells(grouping: Any, cases: Cases) -> dict[int, list[str]]:
    if not len(cases):
        return {}
    persons, of_case = np.unique(cases.patients, return_inverse=True)
    masks = cells_of_persons(grouping, cases, persons, of_case)
    return {cell: [str(name) for name in persons[mask]] for cell, mask in enumerate(masks) if mask.any()}


def _represented(study: Study, hospitals: Sequence[Hospital]) -> list[dict[str, Any]]:
    """By column and cell, how many persons of each hospital, over all splits; "" for those of no cell."""
    rows = []
    for grouping in study.report.groupings:
        counts: dict[int, Counter[str]] = {}
        everybody: Counter[str] = Counter()
        for hospital in hospitals:
            for split in SPLITS:
                cases = hospital.splits[split]
                everybody[hospital.site] += len(np.unique(cases.patients))
                for cell, names in _cells(grouping, cases).items():
                    counts.setdefault(cell, Counter())[hospital.site] += len(names)
        told = sum(counts.values(), Counter[str]())
        named = [(name, counts.get(cell, Counter())) for cell, name in enumerate(grouping.cells)]
        for name, found in [*named, ("", everybody - told)]:
            rows.append({"column": grouping.column, "cell": name, "hospitals": dict(found)})
    return rows
