"""Exact inversion of whole batches: every case behind one update, each with a certificate that needs no truth.

Works where the network's first layer is linear and what follows it shuts units, as ReLU does: see `peeling` for how.
The rank of the layer's gradient says from below how many cases there are; a batch of more cases than features is
brought back as well, as long as some unit is open for one case alone. After several full-batch steps a unit's row
still is a sum over the cases; what these would add is then computed along the way the model went, and the way itself
again from the cases found. Noise on the update makes its rank full and no certificate hold: then nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from math import prod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from common.learning.abilities import no_soft_loss
from common.learning.parameters import trainable
from common.study.checks import positive
from common.study.study import Study
from experiments.attack import UNTRIED, Attack, Finding, Reconstruction, Sees
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.first_layer import Reals, Stage
from experiments.attacks.inversion.layers import Layer, layers_in_order
from experiments.attacks.inversion.local_steps import not_simulated
from experiments.attacks.inversion.losses import truth_shape
from experiments.attacks.inversion.peeling import ROUNDING, Case, Peeled, agreeing, peel, retraced
from experiments.attacks.inversion.sightings import Sighting, Way
from experiments.attacks.inversion.updates import Captured, captured_updates, local_steps, obstacle
from experiments.evidence.budget import Budget
from experiments.observation import Observation

MOST_WAYS, PATH_ERROR = 16, 0.02
LEAST_S = 1.5
"""Taken for one update, whatever the seconds are: it is no search that could be cut short."""
NOISIER = (1.0, 30.0, 1000.0)
"""Times the rounding of float32: an aggregation may round more coarsely."""


@dataclass(frozen=True)
class ExactBatch:
    """updates: how many are attacked, those of the fewest cases first. most_cases: brought back of one update.
    largest: no value of a patient, as the network sees it, is beyond it."""

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "Dimitrov et al. 2024, SPEAR; Phong et al. 2017; own peeling of cases one by one"
    share: ClassVar[float] = 2.0
    words: ClassVar[str] = "Takes a sum of patients apart exactly, by units of the first layer that saw one alone."

    updates: int = 4
    most_cases: int = 256
    largest: float = 10.0

    def __post_init__(self) -> None:
        positive("attack", updates=self.updates, most_cases=self.most_cases, largest=self.largest)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """The cases that are certified; where there are none, why not."""
        budget = Budget(budget_seconds)
        captured = captured_updates(observed)[: self.updates]
        if reason := obstacle(observed, captured) or _unsuitable(observed):
            return self._none(observed, reason, bool(captured) and "loss" in reason)
        done: list[tuple[Captured, Peeled]] = []
        for index, one in enumerate(captured):
            hurried = index == 0 and budget.left < LEAST_S
            own = Budget(LEAST_S) if hurried else budget.part(1 / (len(captured) - index))
            done.append((one, self._taken_apart(observed, one, own)))
            if budget.left <= 0:
                break
        found = [(one, peeled) for one, peeled in done if peeled.certified]
        if not found:
            return self._none(observed, _why_none(*done[0]), False)
        figures = _figures(found)
        claims = tuple(_reconstruction(observed, one, peeled.certified) for one, peeled in found)
        said = _words(found)
        return Finding("exact_batch", observed.observer, True, said, budget.spent, figures, asdict(self), claims)

    def _none(self, observed: Observation, reason: str, untried: bool) -> Finding:
        settings: dict[str, Any] = {**asdict(self), **({UNTRIED: True} if untried else {})}
        return Finding("exact_batch", observed.observer, False, reason, settings=settings)

    def _taken_apart(self, observed: Observation, captured: Captured, budget: Budget) -> Peeled:
        victim = Victim.of(observed, captured).double().on(torch.device("cpu"))
        first = layers_in_order(victim.network, observed.shape)[0]
        ways = ways_in(observed, captured, victim, first)
        gradient = descended(captured, observed.study, victim)
        best = Peeled((), 0, False, 1.0)
        for coarser in NOISIER:
            noise = coarser * rounding(captured, observed.study, gradient)
            sighting = sighting_of(gradient, victim, first, ways, observed.shape.classes, noise, self.largest)
            peeled = peel(sighting, budget, self.most_cases)
            if sighting.slack and peeled.cases:
                peeled = retraced(sighting, peeled, _walk(observed, captured, victim, first))
            if sighting.slack and not peeled.whole:
                peeled = agreeing(sighting)
            best = max(best, peeled, key=lambda one: (one.whole, len(one.certified), one.rank))
            if best.certified or budget.left <= 0:
                break
        return best


def _unsuitable(observed: Observation) -> str:
    """Why this attack does not fit the study; empty where it does."""
    study, shape = observed.study, observed.shape
    task = study.build_task()
    if reason := no_soft_loss(task):
        return f"what a case would add cannot be computed: {reason}"
    if len(truth_shape(task, shape, 1)) != 2 or truth_shape(task, shape, 1)[1] < 1:
        return "what a case would add cannot be computed: the truth of a case is not one class"
    if study.training.optimiser != "sgd":
        return f"local steps of {study.training.optimiser} hide the size of a gradient"
    if reason := not_simulated(study.training):
        return reason
    first = layers_in_order(observed.network(), shape)[0]
    if not isinstance(first.module, nn.Linear):
        return f"the network's first layer is a {type(first.module).__name__}, not a linear one"
    if first.module.in_features != prod(shape.inputs):
        return "the network's first learned layer is not shown the inputs (what is before it is frozen)"
    return "" if first.module.weight.requires_grad else "the network's first layer has its weight frozen, not sent"


def sighting_of(
    gradient: Sequence[torch.Tensor],
    victim: Victim,
    first: Layer,
    ways: Sequence[Way],
    labels: int,
    noise: float,
    largest: float = 10.0,
) -> Sighting:
    """The first layer's gradient, one tensor a parameter, as it is taken apart."""
    parts = dict(zip((name for name, _ in trainable(victim.network)), gradient, strict=True))
    weight = parts[f"{first.name}.weight"].double().numpy()
    bias = parts.get(f"{first.name}.bias")
    rows = weight if bias is None else np.column_stack([weight, bias.double().numpy()])
    slack = PATH_ERROR if any(len(way.stages) > 1 or way.stages[0].late for way in ways) else 0.0
    return Sighting(rows, ways, labels, noise, slack, _head(victim.network, first), largest, bias is not None)


def _head(network: nn.Module, first: Layer) -> Reals | None:
    """(units,) what two classes' scores differ by a unit, where Linear, ReLU, Linear is all there is; None else."""
    modules = [one for one in network.modules() if not list(one.children()) and not isinstance(one, nn.Flatten)]
    if len(modules) != 3 or modules[0] is not first.module or not isinstance(modules[1], nn.ReLU):
        return None
    last = modules[2]
    if not isinstance(last, nn.Linear) or last.out_features != 2:
        return None
    weight = last.weight.detach().double().cpu().numpy()
    return np.asarray(weight[1] - weight[0])


def rounding(captured: Captured, study: Study, gradient: Sequence[torch.Tensor]) -> float:
    """Deviation of a value of the gradient that float32 makes, where the change of a model was sent."""
    largest = max(float(part.abs().max()) for part in gradient)
    if captured.sends == "gradient":
        return ROUNDING * largest
    rate = study.training.in_round(captured.round).learning_rate
    return ROUNDING * max(largest, float(np.median(np.abs(captured.parameters))) / rate)


def descended(captured: Captured, study: Study, victim: Victim) -> tuple[torch.Tensor, ...]:
    """Of what was sent, the gradients that local steps added up, by how much each still pushed at the end."""
    if captured.sends == "gradient":
        return victim.parts(captured.sent)
    training = study.training.in_round(captured.round)
    steps = local_steps(study, captured.cases) if len(captured.sites) == 1 else 1
    shrunk = sum(pushes(steps, training.momentum)) * training.weight_decay * captured.parameters
    return victim.parts(captured.sent / -training.learning_rate - shrunk)


def pushes(steps: int, momentum: float) -> list[float]:
    """By step, how much of its gradient is in the whole change, momentum having pushed on with it."""
    return [(1 - momentum ** (steps - step)) / (1 - momentum) for step in range(steps)]


def ways_in(observed: Observation, captured: Captured, victim: Victim, first: Layer) -> tuple[Way, ...]:
    """How a case may be in the update: with which hospital's weight, in which of its steps."""
    study, shape = observed.study, observed.shape.inputs
    at_first = Stage.of(victim, first.name, shape)
    if captured.sends == "gradient":
        return (Way(1 / captured.cases, (at_first,)),)
    ways: list[Way] = []
    for site in captured.sites:
        own = captured.cases if len(captured.sites) == 1 else observed.cases[site]
        steps = local_steps(study, own)
        size = own if study.training.batch_size == "full" else min(study.training.batch_size, own)
        stages = [
            Stage.of(_moved(victim, captured, part), first.name, shape, push, late=part > 0)
            for part, push in zip(
                _way_gone(steps, study.training.momentum), pushes(steps, study.training.momentum), strict=True
            )
        ][:MOST_WAYS]
        weight = own / size / captured.cases
        if size == own:
            ways.append(Way(weight, tuple(stages)))
        else:
            ways += [Way(weight, (stage,)) for stage in stages]
    return tuple(_without_doubles(ways))[:MOST_WAYS]


def _without_doubles(ways: Sequence[Way]) -> list[Way]:
    """Of ways of one step at the model as it was sent, each weight once."""
    kept: dict[tuple[float, int, bool], Way] = {}
    for index, way in enumerate(ways):
        plain = len(way.stages) == 1 and not way.stages[0].late
        kept.setdefault((round(way.weight * way.stages[0].share, 12), 0 if plain else index + 1, plain), way)
    return list(kept.values())


def _way_gone(steps: int, momentum: float) -> list[float]:
    """Share of the whole change that was made before each step, were all gradients alike."""
    speed = [(1 - momentum ** (step + 1)) / (1 - momentum) for step in range(steps)]
    gone = [0.0, *accumulate(speed)]
    return [one / gone[-1] for one in gone[:-1]]


def _moved(victim: Victim, captured: Captured, share: float) -> Victim:
    """The model after that share of the change."""
    if share == 0:
        return victim
    moved = victim.double()
    with torch.no_grad():
        for parameter, part in zip(moved.parameters, moved.parts(captured.sent), strict=True):
            parameter.add_(share * part)
    return moved


Walk = Callable[[Sequence[Case]], tuple[Way, ...]]


def _walk(observed: Observation, captured: Captured, victim: Victim, first: Layer) -> Walk | None:
    """What trains the model on cases as the hospital would; None where it is not known which case came when."""
    training = observed.study.training.in_round(captured.round)
    if len(captured.sites) > 1 or (training.batch_size != "full" and training.batch_size < captured.cases):
        return None
    steps = local_steps(observed.study, captured.cases)
    shape = observed.shape

    def walk(cases: Sequence[Case]) -> tuple[Way, ...]:
        inputs = torch.from_numpy(np.stack([case.x[: prod(shape.inputs)] for case in cases]))
        inputs = inputs.reshape(-1, *shape.inputs)
        truth = torch.eye(shape.classes, dtype=torch.float64)[[case.label for case in cases]]
        moved = victim.double()
        stages: list[Stage] = []
        velocity = [torch.zeros_like(parameter) for parameter in moved.parameters]
        for push in pushes(steps, training.momentum):
            stages.append(Stage.of(moved, first.name, shape.inputs, push, late=bool(stages)))
            gradient = moved.gradient(inputs, truth)
            with torch.no_grad():
                for parameter, part, speed in zip(moved.parameters, gradient, velocity, strict=True):
                    speed.mul_(training.momentum).add_(part.detach() * len(cases) / captured.cases)
                    speed.add_(training.weight_decay * parameter)
                    parameter.sub_(training.learning_rate * speed)
        return (Way(1 / captured.cases, tuple(stages)),)

    return walk


def _reconstruction(observed: Observation, captured: Captured, cases: Sequence[Case]) -> Reconstruction:
    size = prod(observed.shape.inputs)
    inputs = np.stack([case.x[:size] for case in cases]).astype(np.float32).reshape(-1, *observed.shape.inputs)
    return Reconstruction(captured.round, captured.sites, inputs, np.array([case.label for case in cases], np.int64))


def _figures(found: Sequence[tuple[Captured, Peeled]]) -> dict[str, float]:
    return {
        "updates_attacked": float(len(found)),
        "cases_of_an_update": float(min(one.cases for one, _ in found)),
        "hospitals_of_an_update": float(min(len(one.sites) for one, _ in found)),
        "rank": float(max(peeled.rank for _, peeled in found)),
        "certified_cases": float(sum(len(peeled.certified) for _, peeled in found)),
        "certified_whole_updates": float(sum(peeled.whole for _, peeled in found)),
        "unexplained_share": min(peeled.left for _, peeled in found),
    }


def _words(found: Sequence[tuple[Captured, Peeled]]) -> str:
    most = max(len(one.sites) for one, _ in found)
    return f"tried on the sum of {most} hospitals, no single update being seen" if most > 1 else ""


def _why_none(captured: Captured, peeled: Peeled) -> str:
    if peeled.full:
        return (
            f"the rank of the first layer's gradient is full ({peeled.rank}), as noise makes it, or as many cases as "
            f"it has features, and none of {captured.cases} cases could be certified"
        )
    return (
        f"the first layer's gradient has rank {peeled.rank}, and of {captured.cases} cases none could be certified: "
        "too few units are open for one case alone"
    )


attack: type[Attack] = ExactBatch
