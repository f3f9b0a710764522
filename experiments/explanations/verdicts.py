"""What each method's maps were found to be worth on this model: tests of faithfulness, as seconds allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from common.attribution.faithfulness.check import Finding
from common.attribution.faithfulness.judging import judged, measured
from common.attribution.faithfulness.trial import Trial
from common.errors import WardroundError
from common.sums.mean import Statistics, merge
from experiments.explanations.clock import Clock
from experiments.explanations.methods import Mapped, Method
from experiments.explanations.pool import Pool
from server.reporting.markup import Child, tag

CONTROL = "control: never asks the model"
NO_TIME = "not tested: the seconds did not suffice"
AT_ONCE, MOST_CASES = 6, 24
PASSES = 140
"""Of the network, forward, that curves of deletion and insertion take for one case."""


@dataclass(frozen=True)
class Verdict:
    """look: "good" where all tests that apply were passed, "bad" where maps say nothing of the network; "warn".

    words: below every map. findings: of each test, by its name. cases: how many were tried.
    """

    look: str
    words: str
    findings: Mapping[str, Finding] = field(default_factory=dict)
    cases: int = 0


@dataclass(frozen=True)
class Verdicts:
    """found: by method."""

    found: Mapping[str, Verdict] = field(default_factory=dict)

    def of(self, method: Method) -> Verdict:
        """A control fails by what it is."""
        known = self.found.get(method.name, Verdict("warn", NO_TIME))
        return Verdict("bad", CONTROL, known.findings, known.cases) if method.control else known

    def ordered(self, methods: Sequence[Method]) -> tuple[Method, ...]:
        """Those that passed first, those that say nothing of the network last; controls after them."""
        rank = {"good": 0, "warn": 1, "bad": 2}
        return tuple(sorted(methods, key=lambda one: (one.control, rank[self.of(one).look])))


def badge(verdict: Verdict, remark: str = "") -> Child:
    """As it stands below a map. remark: of this very map."""
    said = tag("span", verdict.words, class_=f"verdict {verdict.look}")
    return tag("span", said, " ", tag("span", remark, class_="verdict warn")) if remark else said


def judge(pool: Pool, mapped: Mapped, seed: int, clock: Clock) -> Verdicts:
    """All methods on the same cases, a few at a time; a method for which the seconds do not suffice is not tested."""
    places = _tried(pool)
    sums: dict[str, Statistics] = {}
    cases: dict[str, int] = {}
    for start in range(0, len(places), AT_ONCE):
        own = places[start : start + AT_ONCE]
        for method in mapped.methods:
            if method.name in mapped.refused or cases.get(method.name, 0) < start:
                continue
            if clock.left < _estimate(pool, mapped, method) * len(own):
                continue
            clock.say(f"Testing {method.title} on {start + len(own)} cases")
            try:
                with clock.bounded():
                    found = measured(_trial(pool, method, own, seed))
            except (WardroundError, OverflowError):
                continue
            sums[method.name] = merge([sums.get(method.name, {}), found])
            cases[method.name] = start + len(own)
    return Verdicts({name: _verdict(one, cases[name]) for name, one in sums.items()})


def _tried(pool: Pool) -> list[int]:
    """Places of cases of which the model says anything, evenly from all hospitals."""
    usable = [place for place, one in enumerate(pool.told) if pool.answering.says_anything(one)]
    count = min(MOST_CASES, len(usable))
    even = [usable[k] for k in np.linspace(0, len(usable) - 1, count).round().astype(int)] if count else []
    return [even[k] for start in range(-(-count // AT_ONCE)) for k in range(start, count, -(-count // AT_ONCE))]


def _estimate(pool: Pool, mapped: Mapped, method: Method) -> float:
    """Seconds of one case: a map for every layer that forgets, and curves."""
    layers = sum(any(one.ndim > 1 for one in module.parameters(recurse=False)) for module in _modules(pool))
    return mapped.seconds.get(method.name, 0.0) * (layers + 1) + mapped.forward * PASSES


def _modules(pool: Pool) -> list[nn.Module]:
    return list(pool.answering.network.modules())


def _trial(pool: Pool, method: Method, places: Sequence[int], seed: int) -> Trial:
    rows = torch.tensor(places)
    inputs, targets = pool.inputs[rows], pool.targets[rows]
    aim, answering = pool.answering.aim(inputs), pool.answering
    return Trial(
        method.made,
        answering.network,
        inputs,
        aim,
        answering.chance(inputs),
        answering.masks(inputs, targets),
        seed=seed + places[0],
    )


def _verdict(sums: Statistics, cases: int) -> Verdict:
    found = judged(sums)
    look = "good" if found.passed else "warn"
    return Verdict(look if found.sane else "bad", found.words, found.findings, cases)
