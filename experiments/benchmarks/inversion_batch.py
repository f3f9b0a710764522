"""Gradient inversion against the batch: tables, radiographs and volumes, 1 to 16 cases a gradient, beside chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from statistics import fmean
from time import process_time

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from torch.nn.functional import one_hot

from common.data.cases import Cases, Shape
from common.errors import SourceError
from common.seeding import entropy, generator
from experiments.attack import Reconstruction
from experiments.attacks.analytic import invert_first_layer
from experiments.attacks.bottleneck import Bottleneck
from experiments.attacks.exact_batch import sighting_of
from experiments.attacks.inversion.first_layer import Stage
from experiments.attacks.inversion.labels import recovered_labels
from experiments.attacks.inversion.layers import layers_in_order
from experiments.attacks.inversion.peeling import peel
from experiments.attacks.inversion.problem import InversionProblem
from experiments.attacks.inversion.public_prior import PublicPrior
from experiments.attacks.inversion.recovered_features import told_by
from experiments.attacks.inversion.sightings import Way
from experiments.attacks.learned_prior import LearnedPrior
from experiments.attacks.matching import Matching
from experiments.audit.questions._similarity_to_patients import CaseScore, score
from experiments.benchmark import Benchmark, Cell, Measured
from experiments.benchmarks._inversion_batches import CANDIDATES, KINDS, Kind
from experiments.evidence.budget import Budget
from experiments.evidence.ground_truth import Truth

BATCHES = (1, 2, 4, 8, 16)
LARGER = (20, 32)
"""Tried where no search is needed."""
FEWEST_CASES = 4
"""A figure is a mean over at least so many cases, of several batches where a batch is smaller."""
SITE = "hospital"
FIGURES = ("PSNR dB", "of others", "similarity", "others'", "identified", "by chance", "CPU s")
NOTES = (
    "One gradient of so many cases on an untrained network, labels recovered from it as the attack does; real data.",
    "PSNR: after an affine fit of each channel. similarity: SSIM after that fit; of tables correlation.",
    "of others: what as many other patients' cases have, assigned and compared in the same way.",
    f"identified: share of cases for which the right patient is the most alike of {CANDIDATES}.",
    "by chance: the batch's share of them.",
    "exact_batch claims only cases that it certifies without having seen the truth; the others are not identified.",
    "learned_prior learns from 1,500 radiographs of other patients, and has the seconds of matching;",
    "matching has 4 CPU seconds for each case of a batch, on pooled networks 15; analytic does not search;",
    "bottleneck, for one case alone, has 15, for volumes 20, after up to 10 for what the gradient tells.",
)


@dataclass(frozen=True)
class Attacked:
    """Scores of a batch's rebuilt cases, and of as many cases of other patients; CPU seconds of the attack."""

    cases: Sequence[CaseScore]
    others: Sequence[CaseScore]
    seconds: float


def measure(console: Console) -> Measured:
    """Every kind at every batch; rows whose data are not at hand are not measured."""
    torch.set_num_threads(1)
    rows = []
    with Progress(console=console, transient=True) as progress:
        running = progress.add_task("", total=sum(len(_batches(kind)) for kind in KINDS))
        for kind in KINDS:
            everybody = _candidates(kind)
            for batch in _batches(kind):
                progress.update(running, description=f"{kind.data}, {kind.network}, {batch} cases")
                rows.append(row(kind, batch, everybody))
                progress.advance(running)
    return Measured("Gradient inversion by batch", rows, [], NOTES)


def _batches(kind: Kind) -> tuple[int, ...]:
    return tuple(batch for batch in (*BATCHES, *LARGER) if batch <= kind.largest_batch)


def _candidates(kind: Kind) -> Cases | None:
    try:
        return kind.candidates()
    except SourceError:
        return None


def row(kind: Kind, batch: int, everybody: Cases | None, seconds_a_case: float | None = None) -> dict[str, Cell]:
    """Means over `FEWEST_CASES` cases or one batch; None where there are no data."""
    named: dict[str, Cell] = {"data": kind.data, "network": kind.network, "attack": kind.attack, "batch": batch}
    if everybody is None:
        return named | dict.fromkeys(FIGURES)
    starts = range(0, max(FEWEST_CASES, batch), batch)
    seconds = kind.seconds_a_case if seconds_a_case is None else seconds_a_case
    return named | figures([attacked(kind, everybody, start, batch, seconds) for start in starts], batch)


def figures(found: Sequence[Attacked], batch: int) -> dict[str, Cell]:
    """As the table's columns. A case that was not brought back at all is not identified."""
    rebuilt = [case for one in found for case in one.cases]
    others = [case for one in found for case in one.others]
    if not rebuilt:
        return dict.fromkeys(FIGURES) | {"identified": 0.0, "CPU s": fmean(one.seconds for one in found)}
    return {
        "PSNR dB": fmean(case.psnr_fitted_db for case in rebuilt),
        "of others": fmean(case.psnr_fitted_db for case in others),
        "similarity": fmean(map(_similarity, rebuilt)),
        "others'": fmean(map(_similarity, others)),
        "identified": sum(case.recognised for case in rebuilt) / (batch * len(found)),
        "by chance": fmean(batch / case.candidates for case in rebuilt),
        "CPU s": fmean(one.seconds for one in found),
    }


def _similarity(case: CaseScore) -> float:
    return case.correlation if np.isnan(case.ssim_fitted) else case.ssim_fitted


def attacked(kind: Kind, everybody: Cases, start: int, batch: int, seconds_a_case: float) -> Attacked:
    """The gradient of the candidates from `start` on, inverted and scored."""
    chosen, last = np.arange(start, start + batch), np.arange(len(everybody) - batch, len(everybody))
    truth, candidates = _truth(everybody.take(chosen)), _truth(everybody)
    began = process_time()
    inputs = inverted(kind, everybody.take(chosen), batch * seconds_a_case)
    spent = process_time() - began
    scores = [
        score(Reconstruction(1, (SITE,), one), truth, candidates).cases if len(one) else ()
        for one in (inputs, everybody.inputs[last])
    ]
    return Attacked(scores[0], scores[1], spent)


def inverted(kind: Kind, cases: Cases, seconds: float) -> NDArray[np.float32]:
    """(N, *shape) what the attack makes of the gradient of these cases."""
    draws = torch.Generator().manual_seed(entropy(5, "inversion batches", "attack") % 2**63)
    problem = captured(kind, cases, draws)
    if kind.attack == "analytic":
        first = layers_in_order(problem.victim.network, cases.shape)[0]
        return invert_first_layer(problem, first).inputs.numpy()
    if kind.attack == "exact_batch":
        return exactly(problem, Budget(seconds, process_time))
    if kind.attack == "bottleneck":
        told = told_by(problem, layers_in_order(problem.victim.network, cases.shape))
        assert told is not None
        return Bottleneck().invert(problem, told, draws, Budget(seconds, process_time)).inputs.numpy()
    if kind.attack == "learned_prior":
        attack, budget = LearnedPrior(), Budget(seconds, process_time)
        prior = PublicPrior.of(kind.public(), attack.components, generator(5, "inversion batches", "public"))
        return attack.search(problem, prior, draws, budget).inputs.numpy()
    return Matching().search(problem, draws, Budget(seconds, process_time)).inputs.numpy()


def exactly(problem: InversionProblem, budget: Budget) -> NDArray[np.float32]:
    """(n, *shape) the cases that are certified, n at most N."""
    shape = Shape(problem.inputs[1:], problem.truth[1])
    victim = problem.victim.double()
    first = layers_in_order(victim.network, shape)[0]
    ways = (Way(1 / problem.inputs[0], (Stage.of(victim, first.name, shape.inputs),)),)
    found = peel(sighting_of(problem.captured, victim, first, ways, shape.classes, 0.0), budget).certified
    cases = np.array([case.x[: prod(shape.inputs)] for case in found], np.float32)
    return cases.reshape(-1, *shape.inputs)


def captured(kind: Kind, cases: Cases, draws: torch.Generator) -> InversionProblem:
    """Their mean gradient, and the labels that it shows."""
    victim, batch, classes = kind.victim(cases.shape), cases.batch(), len(cases.classes)
    gradient = victim.gradient(batch.inputs, one_hot(batch.targets, classes).float())
    parts = tuple(part.detach() for part in gradient)
    labels = recovered_labels(victim.network, cases.shape, parts, len(cases), draws)
    return InversionProblem(victim, parts, tuple(batch.inputs.shape), (len(cases), classes), labels)


def _truth(cases: Cases) -> Truth:
    return Truth(cases.inputs, cases.targets.astype(np.int64), tuple(map(str, cases.patients)), (SITE,) * len(cases))


benchmark: Benchmark = measure
