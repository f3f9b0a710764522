"""A hospital's own code run again on an order that reached it, with every step of its optimiser looked at.

What the code sends is beside it, so that whoever has the recorded message can tell that these were the steps behind
it. Nothing of the code is replaced: the steps are seen by torch's own hook and that of plain ones, and which cases
were taken, by the cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.optimizer import register_optimizer_step_pre_hook

from client.handlers import Memory, RequestContext, update_of
from client.hospital import Hospital
from client.optimisers import Plain
from client.privacy import Sources
from common.data.cases import Batch, Cases
from common.errors import StudyError
from common.learning.parameters import read, trainable
from common.privacy.noise import SeededNoise
from common.privacy.noise_source import NoiseSource
from common.seeding import generator
from common.sums.aggregation import Local
from common.sums.update import Update, Vector
from common.wire.train_requests import Order
from experiments.evidence.planted import Fault

HONEST = Fault("none")
ALL = 1 << 60


@dataclass(frozen=True)
class Step:
    """parameters: (P,) before it. gradient: (P,) that moves them. taken: cases that were looked at since the last."""

    parameters: Vector
    gradient: Vector
    taken: tuple[int, ...]


@dataclass(frozen=True)
class Replayed:
    """update: as it leaves the hospital's training. steps: the first ones of an optimiser; made: how many there were.
    taken: cases that were looked at, step by step, or in all where no optimiser made any.
    """

    update: Update
    steps: tuple[Step, ...]
    taken: tuple[tuple[int, ...], ...]
    made: int


@dataclass(frozen=True)
class _Watched(Cases):
    """Cases that remember which of them were asked for."""

    asked: list[int] = field(default_factory=list, compare=False)

    def batch(self, indices: NDArray[np.integer] | slice = slice(None)) -> Batch:
        """As Cases has it."""
        self.asked.extend(np.arange(len(self))[indices].tolist())
        return super().batch(indices)

    def flushed(self) -> tuple[int, ...]:
        """Those since the last time."""
        found = tuple(self.asked)
        self.asked.clear()
        return found


def replayed(
    hospital: Hospital, order: Order, fault: Fault = HONEST, words: tuple[object, ...] = (), most_steps: int = ALL
) -> Replayed:
    """The order answered. words: () draws what the run drew; others draw anew. most_steps: to be kept.

    Raises StudyError where the hospital's code cannot work.
    """
    cases = hospital.train
    watched = _Watched(cases.columns, cases.classes, cases.prescribed, cases.quarantined)
    own = replace(hospital, study=fault.study(hospital), splits={**hospital.splits, "train": watched})
    kept = RequestContext(cast(Memory, {}), _no_protocol, sources(hospital, order.round, fault, words))
    with _steps_of(hospital.network, watched, most_steps) as seen:
        update = update_of(own, fault.order(order), kept)
    taken = tuple(step.taken for step in seen.steps) or (watched.flushed(),)
    return Replayed(update, tuple(seen.steps), taken, seen.made)


def sources(hospital: Hospital, number: int, fault: Fault, words: tuple[object, ...] = ()) -> Sources:
    """Where the hospital's secret draws come from in a simulation, with the fault in them. words: of other runs."""

    def draws(purpose: str) -> np.random.Generator:
        found = drawn(hospital, number, purpose, words)
        return fault.draws(found) if purpose == "sampling" else found

    def noise(purpose: str) -> NoiseSource:
        return fault.noise(lambda of_round: SeededNoise(drawn(hospital, of_round, purpose, words)), number)

    return Sources(draws, noise, None)


def drawn(hospital: Hospital, number: int, purpose: str, words: tuple[object, ...] = ()) -> np.random.Generator:
    """As a simulated hospital draws in a round."""
    return generator(hospital.study.seed, number, hospital.site, purpose, *words)


@dataclass
class _Seen:
    """steps: the first ones. made: all."""

    steps: list[Step] = field(default_factory=list)
    made: int = 0


@contextmanager
def _steps_of(network: torch.nn.Module, watched: _Watched, most: int) -> Iterator[_Seen]:
    """Every step of any optimiser on the network's parameters, while the context is open."""
    parameters, seen = [parameter for _, parameter in trainable(network)], _Seen()
    known = {id(parameter) for parameter in parameters}

    def before(optimiser: torch.optim.Optimizer | Plain, *_: Any) -> None:
        groups: Any = optimiser.param_groups
        if any(id(parameter) in known for group in groups for parameter in group["params"]):
            seen.made += 1
            if seen.made <= most:
                seen.steps.append(Step(read(network), _gradient(parameters), watched.flushed()))

    handle = register_optimizer_step_pre_hook(before)
    Plain.looked_at_by.append(before)
    try:
        yield seen
    finally:
        handle.remove()
        Plain.looked_at_by.remove(before)


def _gradient(parameters: Sequence[torch.nn.Parameter]) -> Vector:
    parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    return np.concatenate([part.detach().cpu().numpy().reshape(-1) for part in parts])


def _no_protocol() -> Local:
    raise StudyError("an update is computed before any protocol is run.")
