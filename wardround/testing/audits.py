"""Tiny runs through which inherited tests put attacks, questions and adversaries, by the audit's own loop."""

from __future__ import annotations

import shutil
from atexit import register
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError
from common.seeding import generator
from common.study.study import parse
from experiments.attack import declared
from experiments.audit.cast import cast_of
from experiments.audit.conduct import Effort, attacked, opened
from experiments.audit.records import WORST, Light, Trial
from experiments.audit.run import Run
from experiments.engines._quiet import run_quietly
from experiments.observation import Observation

TEXT = """
title = "Tiny images"
rounds = 2
seed = 11
engine = "inline"
source = { name = "medmnist", classes = ["a", "b", "c", "d"] }
partition = { name = "quantity", hospitals = 3 }
task = { name = "classification", network = { name = "mlp", hidden = [16] } }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = 4, steps = 2, learning_rate = 0.1 }
split = { validation = 0.1, test = 0.4 }
federation = { start_timeout_s = 600, round_timeout_s = 600, record_traffic = true }
baselines = { local = false, pooled = false }
"""
"""A study of 126 images of 6 x 6 with a label each that says nothing: it can only be had by heart."""


@lru_cache(maxsize=8)
def tiny_run(overrides: tuple[str, ...]) -> Run:
    """A run of the tiny study, opened for an audit; made once in a process. overrides: as on the command line."""
    place = Path(mkdtemp(prefix="wardround-testing-"))
    register(shutil.rmtree, place, ignore_errors=True)
    _write_images(place)
    run_quietly(parse(TEXT, [f'source.folder="{place}"', *overrides]), place / "run")
    return opened(place / "run", Effort(seconds=1.0, pictures=False))


def _write_images(folder: Path) -> None:
    rng = generator(0, "tiny images")
    labels = rng.integers(0, 4, (126, 1), dtype=np.uint8)
    images = rng.integers(0, 256, (126, 6, 6), dtype=np.uint8)
    parts = {"train": slice(0, 60), "val": slice(60, 66), "test": slice(66, 126)}
    arrays = {f"{part}_images": images[cut] for part, cut in parts.items()}
    arrays |= {f"{part}_labels": labels[cut] for part, cut in parts.items()}
    np.savez(folder / "tiny.npz", **arrays)  # type: ignore[arg-type]


def at_random(run: Run) -> Run:
    """The same run, had hospitals sent noise alone, as long as what they sent; models hold nothing else either."""
    rng, seen = generator(run.study.seed, "noise in the place of updates"), run.observed
    noisy: Observation = replace(
        seen,
        singles=tuple(replace(one, update=_noise(one.update, rng)) for one in seen.singles),
        sums=tuple(replace(one, update=_noise(one.update, rng)) for one in seen.sums),
        models={number: _like(model, rng) for number, model in seen.models.items()},
    )
    return replace(run, observed=noisy)


def _noise(update: Any, rng: np.random.Generator) -> Any:
    return replace(update, vectors=tuple(_like(vector, rng) for vector in update.vectors))


def _like(vector: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    return rng.normal(0, float(vector.std()) or 1.0, vector.shape).astype(vector.dtype)


def question_of(attack: Any, own: Any = None) -> Any:
    """The question that scores it, ours or `own`; None where it is neither."""
    return cast_of(()).questions.get(str(declared(attack, "question")), own)


def tried(attack: Any, run: Run, seconds: float, own: Any = None) -> tuple[list[Trial], Light]:
    """All trials of one attack by the audit's own loop, and the worst light that they give any hospital.

    own: a question that is not ours, which scores it where none of ours is called as the attack says.
    """
    cast, name, question = cast_of(()), str(declared(attack, "question")), question_of(attack, own)
    if question is None:
        raise StudyError(f"there is no question {name!r} of ours, and none was given.")
    alone = replace(cast, attacks={"mine": attack}, questions={name: question}, asked=frozenset({"mine"}))
    trials = list(attacked(replace(run, seconds=seconds), alone).trials)
    made = [trial for trial in trials if trial.possible and trial.attack == "mine"]
    lights = [
        light
        for trial in made
        for site in ([trial.site] if trial.site else run.observed.sites)
        for light, _, _ in question.reasons(site, trial, run)
    ]
    return made, max(lights, key=WORST.index, default="green")
