"""What all inversion attacks share: which updates are attacked, with which share of the time, and the Finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.cases import Shape
from common.learning.abilities import can, no_followed_loss, no_soft_loss
from experiments.attack import DRAWN, GUESSED, UNTRIED, Finding, Reconstruction
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.imagined import ByImage, imagined_of
from experiments.attacks.inversion.labels import recovered_labels
from experiments.attacks.inversion.losses import truth_shape
from experiments.attacks.inversion.problem import Attempt, InversionProblem, Search
from experiments.attacks.inversion.updates import Captured, as_gradient, captured_updates, what_is_seen_instead
from experiments.evidence.budget import Budget
from experiments.observation import Observation

MOST_VALUES = 1 << 18
"""Of all inputs searched at once: a search of more would not take a step in minutes, nor fit into memory."""

Prepare = Callable[[Observation, Captured, torch.Generator], InversionProblem]


@dataclass(frozen=True)
class Limits:
    """updates: how many are attacked, those of the fewest cases first. largest_batch: most inputs at once."""

    updates: int = 1
    largest_batch: int = 16


def invert(
    name: str,
    observed: Observation,
    rng: np.random.Generator,
    budget_seconds: float,
    limits: Limits,
    search: Search,
    settings: Mapping[str, Any],
) -> Finding:
    """Attack as many updates as `limits` says, each with an equal share of what is left of the seconds."""
    budget = Budget(budget_seconds)
    captured = captured_updates(observed)[: limits.updates]
    unknown = no_followed_loss(observed.study.build_task())
    if unknown or not captured:
        seen = {UNTRIED: True} if captured else {}
        reason = unknown or what_is_seen_instead(observed)
        return Finding(name, observed.observer, False, reason, settings={**settings, **seen})
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    attempts = []
    for index, one in enumerate(captured):
        part = budget.part(1 / (len(captured) - index))
        attempts.append(_attempt(observed, one, limits.largest_batch, generator, part, search))
    return finding(name, observed, captured, attempts, budget.spent, settings)


def _attempt(
    observed: Observation,
    captured: Captured,
    largest_batch: int,
    generator: torch.Generator,
    budget: Budget,
    search: Search,
) -> Attempt:
    """By what a network is shown, or, where the truth follows from the same images, by these."""
    cases = min(captured.cases, most_cases(observed.shape, largest_batch))
    imagined = imagined_of(observed, cases, generator)
    if imagined is None:
        return search(problem_of(observed, captured, largest_batch, generator), generator, budget)
    by_image = ByImage.of(Victim.of(observed, captured), captured, observed, imagined)
    return by_image.attempt(search(by_image.problem, generator, budget))


def problem_of(
    observed: Observation, captured: Captured, largest_batch: int, generator: torch.Generator
) -> InversionProblem:
    """The update as one gradient of at most `largest_batch` cases, with the labels that it shows."""
    cases = min(captured.cases, most_cases(observed.shape, largest_batch))
    victim = Victim.of(observed, captured)
    gradient = victim.parts(as_gradient(captured, observed.study))
    task = observed.study.build_task()
    labels = None
    if can(task, "label_evidence"):
        weights = observed.study.training.public_class_weights
        labels = recovered_labels(victim.network, observed.shape, gradient, cases, generator, weights)
    inputs = (cases, *observed.shape.inputs)
    truth = truth_shape(task, observed.shape, cases)
    return InversionProblem(
        victim, gradient, inputs, truth, labels, not no_soft_loss(task) and _in_float64(victim, inputs, truth)
    )


def _in_float64(victim: Victim, inputs: tuple[int, ...], truth: tuple[int, ...]) -> bool:
    """Whether the network and the loss of one case can be computed so."""
    double = victim.double()
    one, believed = (torch.zeros((1, *shape[1:]), dtype=torch.float64) for shape in (inputs, truth))
    try:
        return double.losses(double.network, one, believed).dtype == torch.float64
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError):
        return False


def most_cases(shape: Shape, largest_batch: int) -> int:
    """How many are searched at once: `largest_batch`, and of large volumes fewer, but one at least."""
    return min(largest_batch, max(1, MOST_VALUES // prod(shape.inputs)))


def finding(
    name: str,
    observed: Observation,
    captured: list[Captured],
    attempts: list[Attempt],
    seconds: float,
    settings: Mapping[str, Any],
) -> Finding:
    """The attempts as reconstructions, and how well their gradients match."""
    found = tuple(_reconstruction(one, attempt) for one, attempt in zip(captured, attempts, strict=True))
    figures = {
        "updates_attacked": float(len(captured)),
        "cases_of_an_update": float(min(one.cases for one in captured)),
        "hospitals_of_an_update": float(min(len(one.sites) for one in captured)),
        "gradient_distance": float(np.mean([attempt.distance for attempt in attempts])),
        "restarts": float(max(attempt.restarts for attempt in attempts)),
    }
    guessed = {GUESSED: words} if (words := _what_was_drawn(observed, attempts)) else {}
    said, settings = _what_was_tried(captured), {**settings, **guessed}
    return Finding(name, observed.observer, True, said, seconds, figures, settings, found)


def _reconstruction(captured: Captured, attempt: Attempt) -> Reconstruction:
    inputs = attempt.inputs.numpy().astype(np.float32)
    labels: NDArray[np.int64] | None = None
    if attempt.truth.dim() == 2 and attempt.truth.shape[1]:
        labels = attempt.truth.argmax(1).numpy()
    return Reconstruction(captured.round, captured.sites, inputs, labels, of_images=attempt.of_images)


def _what_was_tried(captured: list[Captured]) -> str:
    most = max(len(one.sites) for one in captured)
    return f"tried on the sum of {most} hospitals, no single update being seen" if most > 1 else ""


def _what_was_drawn(observed: Observation, attempts: Sequence[Attempt]) -> str:
    """Of guessed images: what an adversary would have to know besides, and here did not."""
    if not any(attempt.of_images for attempt in attempts):
        return ""
    imagined = imagined_of(observed, 1, torch.Generator())
    drawn = " and ".join(imagined.drawn) if imagined else ""
    of = f", with a {drawn} {DRAWN}, since the true one is not known" if drawn else ""
    return f"an image was guessed, and data made of it by the study's operator{of}"
