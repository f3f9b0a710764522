"""A run for every candidate, scored on validation cases by sums; the choice; and only then the chosen one's test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from client.hospital import open_hospital, site_names
from common.errors import StudyError
from common.files.access import is_there
from common.files.json_files import read_table
from common.metrics.bias_variance import Parts, of_classes, of_numbers
from common.study.study import Baselines, Study
from experiments.engines._quiet import Outcome, run_quietly
from experiments.prediction.trained import load_trained
from experiments.running.run import run_study
from experiments.tuning.choice import Score, choose, is_lower_better
from experiments.tuning.grid import Candidate

CHOSEN, CASES_AT_ONCE = "chosen", 256
Advance = Callable[[str], None]


@dataclass(frozen=True)
class Tried:
    """One candidate. training, validation: losses and scores of its run; parts: of its error, where it was asked."""

    candidate: Candidate
    validation: Score
    validation_loss: float | None
    training_loss: float | None
    parts: Parts | None = None


@dataclass(frozen=True)
class Tuned:
    """headline: the score that decided. test: the chosen one's, read after the choice."""

    title: str
    headline: str
    tried: tuple[Tried, ...]
    chosen: int
    one_standard_error: bool
    replicates: int
    test: Score
    folder: Path
    keys: tuple[str, ...] = field(default=())


def refuse_untunable(study: Study, runs: int) -> None:
    """Raise StudyError where runs cannot be compared fairly, or every one of them would be paid for in privacy."""
    if study.privacy is not None:
        raise StudyError(
            f"each of the {runs} runs would spend the epsilon of privacy {study.privacy.name!r} once more, the runs "
            "that are not chosen too, and the promise would be of all together: choose settings on public data, or "
            "tune without [privacy] where the hospitals agree to that."
        )
    if not study.rounds:
        raise StudyError("rounds = 0 trains nothing: there is nothing to choose.")
    if not study.split.validation:
        raise StudyError("the choice is made on validation cases: give the study split.validation, such as 0.2.")
    if study.engine in ("deployment", "nodes"):
        raise StudyError("each candidate is a study that every hospital approves: tune in simulation.")


def tune(
    studies: Sequence[tuple[Candidate, Study]],
    name: str,
    folder: Path,
    advance: Advance,
    one_standard_error: bool = False,
    replicates: int = 0,
) -> Tuned:
    """Try, choose, test. Folders of candidates are numbered from 01; that of the chosen one's whole run is `chosen`.

    replicates: models a candidate, each of another draw of every hospital's training patients, for the parts of its
    error. Raises StudyError or whatever stopped a run.
    """
    refuse_untunable(studies[0][1], len(studies) * (1 + replicates) + 1)
    if is_there(folder, "tune.json") or is_there(folder, CHOSEN):
        raise StudyError(f"{folder} already holds a choice; name another folder.")
    tried, headline = [], ""
    for number, (candidate, study) in enumerate(studies, 1):
        advance(f"{number} of {len(studies)}: {', '.join(candidate.settings)}")
        place = folder / f"{number:02d}"
        outcome = run_quietly(_withheld(study), place, name)
        headline = str(outcome.about["headline"])
        parts = _parts(study, place, name, replicates)
        tried.append(_tried(candidate, outcome, headline, parts))
    best = choose([one.validation for one in tried], is_lower_better(headline), one_standard_error)
    advance(f"chosen: {', '.join(tried[best].candidate.settings)}")
    whole = studies[best][1]
    run_study(replace(whole, federation=replace(whole.federation, final_intervals=True)), name, folder / CHOSEN)
    test = _score(read_table(folder / CHOSEN, "final.json"), "test", headline)
    keys = tuple(one.partition("=")[0] for one in tried[0].candidate.settings)
    title = studies[best][1].title
    return Tuned(title, headline, tuple(tried), best, one_standard_error, replicates, test, folder, keys)


def _withheld(study: Study, bootstrap: int | None = None) -> Study:
    """The study without anything that scores test cases, and with intervals."""
    federation = replace(study.federation, withhold_test=True, evaluate_split="validation", final_intervals=True)
    training = study.training if bootstrap is None else replace(study.training, bootstrap=bootstrap)
    audit = replace(study.audit, after_run=False)
    plain = replace(study, baselines=Baselines(), audit=audit, fine_tuning=None)
    return replace(plain, federation=federation, training=training)


def _tried(candidate: Candidate, outcome: Outcome, headline: str, parts: Parts | None) -> Tried:
    losses = [one for one in (_training_loss(record) for record in outcome.rounds) if one is not None]
    pooled = outcome.final.get("validation", {}).get("pooled", {})
    score = _score(outcome.final, "validation", headline)
    return Tried(candidate, score, pooled.get("loss"), losses[-1] if losses else None, parts)


def _training_loss(record: dict[str, Any]) -> float | None:
    """Of a round's hospitals together."""
    whole = record.get("training_of_all", {}).get("loss")
    if whole is not None:
        return float(whole)
    weights = record["weights"]
    known = {site: one["loss"] for site, one in record["training"].items() if one.get("loss") is not None}
    total = sum(weights[site] for site in known)
    return sum(weights[site] * loss for site, loss in known.items()) / total if total else None


def _score(final: Any, split: str, headline: str) -> Score:
    of_split = final.get(split, {})
    interval = of_split.get("intervals", {}).get(headline)
    low, high = interval if isinstance(interval, list) and len(interval) == 2 else (None, None)
    return Score(of_split.get("pooled", {}).get(headline), low, high)


def _parts(study: Study, place: Path, name: str, replicates: int) -> Parts | None:
    """Of the error on all hospitals' validation cases, which a simulation holds."""
    if not replicates:
        return None
    if study.training.personal:
        raise StudyError("with training.personal every hospital has another model: leave out --replicates.")
    answers = []
    hospitals = [open_hospital(study.json, index) for index in range(len(site_names(study)))]
    parts = [one.splits["validation"] for one in hospitals if len(one.splits["validation"])]
    inputs = np.concatenate([np.asarray(part.inputs) for part in parts])
    targets = np.concatenate([np.asarray(part.targets) for part in parts])
    if targets.ndim != 1:
        raise StudyError("bias and variance are of tasks with one answer a case: a class or a number.")
    for draw in range(1, replicates + 1):
        run_quietly(_withheld(study, draw), place / f"draw-{draw:02d}", name)
        answers.append(_answers(place / f"draw-{draw:02d}", inputs))
    of = of_classes if parts[0].classes else of_numbers
    return of(np.stack(answers), targets, inputs)


def _answers(folder: Path, inputs: Any) -> Any:
    import torch

    trained = load_trained(folder)
    given = torch.as_tensor(inputs, dtype=torch.float32)
    with torch.no_grad():
        found = [trained.task.predict(trained.network, part).numpy() for part in torch.split(given, CASES_AT_ONCE)]
    return np.concatenate(found)
