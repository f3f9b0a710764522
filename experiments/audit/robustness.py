"""How little an input must be changed for the final model to be wrong, hospital by hospital, as trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch, SiteId
from common.learning.abilities import abilities, can, no_case_loss
from common.learning.device import home, placed
from common.learning.parameters import write
from common.learning.task import Task
from common.seeding import generator
from common.sums.mean import merge
from experiments.audit.records import Trial
from experiments.evidence.ground_truth import hospital_of
from experiments.observation import Observation

SIZES = (0.01, 0.05, 0.1)
"""Largest change of any value, in units of the input."""
MOST_CASES, MOST_VALUES = 64, 1 << 20
"""Of a hospital's test cases, and of their inputs in all: they are attacked at once, and must fit into memory."""
PGD_STEPS = 10
STEP_SHARE = 0.25
"""Of the size, each step of PGD: ten steps can cross the allowed range and come back."""
QUESTION = "How little must an input be changed for the final model to be wrong?"
KNOWLEDGE = "the final model, the cases it is asked about and their true answers"


def robustness_trials(observed: Observation, seconds: float, advance: Callable[[str], None]) -> list[Trial]:
    """FGSM and PGD on every hospital's test cases; hospitals that the seconds do not suffice for are said."""
    task = observed.study.build_task()
    if reason := no_case_loss(task) or _no_true_class(task, observed):
        return [_trial("pgd", observed, "", reason=reason)]
    network = placed(observed.network())
    write(network, observed.final_model)
    begin, trials = perf_counter(), []
    for site in observed.sites:
        for name in SOURCES:
            if perf_counter() - begin > seconds:
                trials.append(_trial(name, observed, site, reason="the seconds of the audit did not suffice"))
                continue
            advance(f"{name} {site}")
            trials.append(_of_site(name, observed, site, task, network))
    return trials


def _no_true_class(task: Task, observed: Observation) -> str:
    if can(task, "label_space") and abilities(task).label_space(observed.shape)[0]:
        return ""
    return "tried where truth is a class (label_space) alone; this task has no true class to be led away from"


def fgsm(network: nn.Module, task: Task, batch: Batch, size: float) -> Tensor:
    """Inputs moved by `size` along the sign of the loss' gradient (Goodfellow et al. 2015, section 4)."""
    return batch.inputs + size * _gradient(network, task, batch, batch.inputs).sign()


def pgd(network: nn.Module, task: Task, batch: Batch, size: float, rng: np.random.Generator) -> Tensor:
    """Inputs within `size` in L-infinity that ascent on the loss finds from a random start (Madry et al. 2018)."""
    start = rng.uniform(-size, size, tuple(batch.inputs.shape)).astype(np.float32)
    moved = batch.inputs + torch.from_numpy(start).to(batch.inputs.device)
    for _ in range(PGD_STEPS):
        moved = moved + STEP_SHARE * size * _gradient(network, task, batch, moved).sign()
        moved = batch.inputs + (moved - batch.inputs).clamp(-size, size)
    return moved


SOURCES: Mapping[str, str] = {"fgsm": "Goodfellow et al. 2015", "pgd": "Madry et al. 2018"}


def _gradient(network: nn.Module, task: Task, batch: Batch, inputs: Tensor) -> Tensor:
    """Of the cases' summed loss, by the inputs; a case's loss depends on no other case."""
    leaf = inputs.detach().clone().requires_grad_(True)
    loss = task.loss(network, Batch.of(leaf, batch.targets, batch.patients)).sum()
    (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient


def headline(network: nn.Module, task: Task, batch: Batch) -> float:
    """The task's headline score of the batch, its patients whole."""
    with torch.no_grad():
        return merge([task.score(network, batch)])[task.headline].value


def _of_site(name: str, observed: Observation, site: SiteId, task: Task, network: nn.Module) -> Trial:
    begin = perf_counter()
    hospital = hospital_of(observed.study, site)
    cases = hospital.splits["test"]
    if not len(cases):
        return _trial(name, observed, site, reason="this hospital has no test cases")
    rng = generator(observed.study.seed, "audit", name, site)
    most = min(MOST_CASES, max(1, MOST_VALUES // prod(cases.shape.inputs)))
    batch = cases.batch(slice(most)).to(home(network))
    network.eval()
    figures = {f"{task.headline} at 0": headline(network, task, batch), "cases": float(len(batch))}
    for size in SIZES:
        moved = fgsm(network, task, batch, size) if name == "fgsm" else pgd(network, task, batch, size, rng)
        score = headline(network, task, Batch.of(moved, batch.targets, batch.patients))
        figures[f"{task.headline} at {size:g}"] = score
    return _trial(name, observed, site, figures=figures, seconds=perf_counter() - begin)


def _trial(
    name: str,
    observed: Observation,
    site: SiteId,
    *,
    figures: Mapping[str, float] | None = None,
    seconds: float = 0.0,
    reason: str = "",
) -> Trial:
    settings = {"sizes": list(SIZES), "cases": MOST_CASES}
    steps = {"steps": PGD_STEPS, "step_share": STEP_SHARE} if name == "pgd" else {}
    return Trial(
        name,
        "robustness",
        observed.observer,
        site,
        QUESTION,
        KNOWLEDGE,
        SOURCES[name],
        possible=figures is not None,
        reason=reason,
        seconds=seconds,
        figures=figures or {},
        settings={**settings, **steps},
    )
