"""The attributions that a page shows, and the maps that they make of its cases, within the seconds that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import cast

from torch import Tensor

from common.attribution.aims import Regions
from common.attribution.attribution import Attribution
from common.attribution.looks.activations import shown
from common.errors import AttributionError, WardroundError
from common.seeding import generator
from common.study.catalogue import ATTRIBUTIONS
from common.study.options import Entry
from common.study.plugins import resolved
from experiments.explanations.answering.role import Chosen
from experiments.explanations.clock import Clock
from experiments.explanations.pool import Pool
from experiments.explanations.section import Asked

FIRST = ("occlusion", "integrated_gradients")
"""Shown before others: what a reader sees first should be what is most often right."""


@dataclass(frozen=True, eq=False)
class Method:
    """name: as it was asked for. title: for a reader. meaning: what a map of it says, in a sentence.

    control: whether it looks at the image alone and never at the network, and is shown for comparison.
    """

    name: str
    title: str
    meaning: str
    made: Attribution

    @property
    def signed(self) -> bool:
        """Whether a value below zero speaks against the answer."""
        return bool(self.made.signed)

    @property
    def control(self) -> bool:
        """See above."""
        return bool(getattr(self.made, "control", False))


@dataclass(frozen=True, eq=False)
class MapsOf:
    """One case. maps: by method, (C, *S), (1, *S) or (F,) float32. region: (*S) bool, which outline is explained."""

    chosen: Chosen
    maps: Mapping[str, Tensor]
    region: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Mapped:
    """refused: why a method has no map of this network, by its name. seconds: of one case, by method.

    wanted: how many cases were to be shown. forward: seconds of one case through the network.
    """

    methods: tuple[Method, ...]
    cases: tuple[MapsOf, ...]
    wanted: int
    refused: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    forward: float = 0.0


def methods_of(asked: Asked) -> tuple[Method, ...]:
    """Those that were asked for, in that order, or all of ours. Raises UnknownNameError."""
    ours = ATTRIBUTIONS.names()
    names = asked.methods or (*(one for one in FIRST if one in ours), *(one for one in ours if one not in FIRST))
    found = [_method(name) for name in dict.fromkeys(names)]
    return tuple(sorted(found, key=lambda one: one.control))


def map_cases(pool: Pool, methods: tuple[Method, ...], asked: Asked, clock: Clock) -> Mapped:
    """Case by case, so that where the seconds end some cases have all maps; the first case has one in any case."""
    chosen = pool.chosen(asked.cases)
    refused: dict[str, str] = {}
    seconds: dict[str, float] = {}
    cases: list[MapsOf] = []
    for number, one in enumerate(chosen):
        if cases and clock.left < sum(seconds.values()):
            break
        clock.say(f"Maps of case {number + 1} of {len(chosen)}")
        inputs = pool.inputs[one.place : one.place + 1]
        aim, maps = pool.answering.aim(inputs), dict[str, Tensor]()
        for method in methods:
            if method.name in refused or (maps and not cases and clock.left < 0):
                continue
            began = perf_counter()
            try:
                rng = generator(asked.seed, method.name, one.place, "explain")
                found = method.made.explain(pool.answering.network, inputs, aim, rng)
            except WardroundError as error:
                refused[method.name] = str(error)
                continue
            seconds.setdefault(method.name, perf_counter() - began)
            maps[method.name] = _usable(found[0], inputs[0], method)
        region = aim.regions[0] if isinstance(aim, Regions) else None
        cases.append(MapsOf(one, maps, region))
    return Mapped(methods, tuple(cases), len(chosen), refused, seconds, _forward(pool))


def _method(name: str) -> Method:
    place = name if name in ATTRIBUTIONS.names() else resolved(name, Path.cwd())
    made = cast(Attribution, ATTRIBUTIONS.build(Entry(place)))
    if name in ATTRIBUTIONS.names():
        title = "edges of the image" if name == "edges" else name.replace("_", " ")
        return Method(name, title, ATTRIBUTIONS.summary(name), made)
    words = (type(made).__doc__ or "").partition("\n")[0]
    return Method(name, Path(name).stem, words or "A method of somebody's own.", made)


def _forward(pool: Pool) -> float:
    began = perf_counter()
    shown(pool.answering.network, pool.inputs[:1])
    return perf_counter() - began


def _usable(found: Tensor, case: Tensor, method: Method) -> Tensor:
    """Raise AttributionError for a map of another shape, or with numbers that are not finite."""
    if found.shape not in (case.shape, (1, *case.shape[1:])) or not bool(found.isfinite().all()):
        raise AttributionError(
            f"attribution {method.name!r} made a map of shape {tuple(found.shape)} of a case of shape "
            f"{tuple(case.shape)}, or one with numbers that are not finite."
        )
    return found.detach().float()
