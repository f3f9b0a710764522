"""The attributions that a page shows, and the maps that they make of its cases, within the seconds that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import cast

from torch import Tensor, nn

from common.attribution.aim import Aim
from common.attribution.aims import Regions
from common.attribution.attribution import Attribution
from common.attribution.faithfulness.completeness import Complete
from common.attribution.looks.activations import shown
from common.errors import AttributionError, OutOfTimeError, WardroundError
from common.seeding import generator
from common.study.catalogue import ATTRIBUTIONS
from common.study.options import Entry
from common.study.plugins import ANYTHING, resolved, trusting
from experiments.explanations.answering.role import Chosen
from experiments.explanations.clock import Clock
from experiments.explanations.pool import Pool
from experiments.explanations.section import Asked
from server.reporting.wording import percent

FIRST = ("occlusion", "integrated_gradients")
"""Shown before others: what a reader sees first should be what is most often right."""
LEAST_S = 1.0
"""For the first map, whatever is left."""
OF_ONE = 0.5
"""Of the seconds that are left for maps, the share that one may take."""
OFF = 0.01
"""From which on a map is said not to add up."""
TITLES = {"edges": "edges of the image", "grad_cam": "Grad-CAM", "deconvnet": "DeconvNet"}


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
    """One case. maps: by method, (C, *S), (1, *S) or (F,) float32. region: (*S) bool, which outline is explained.

    gaps: how far a map's sum is off what the answer gained, as a share of it, of methods whose maps should add up.
    """

    chosen: Chosen
    maps: Mapping[str, Tensor]
    region: Tensor | None = None
    gaps: Mapping[str, float] = field(default_factory=dict)

    def remark(self, name: str) -> str:
        """Of a map that does not add up; "" of others."""
        off = self.gaps.get(name, 0.0)
        return f"does not add up: its sum is {percent(off)} off what the answer gained" if off > OFF else ""


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
    """Case by case, so that where the seconds end some cases have all maps; the first has those that there is time
    for, and one in any case if one takes no longer than a second."""
    chosen = pool.chosen(asked.cases)
    refused: dict[str, str] = {}
    seconds: dict[str, float] = {}
    cases: list[MapsOf] = []
    for number, one in enumerate(chosen):
        if cases and clock.left < sum(seconds.values()):
            break
        clock.say(f"Maps of case {number + 1} of {len(chosen)}")
        inputs = pool.inputs[one.place : one.place + 1]
        aim = pool.answering.aim(inputs)
        made = MapsOf(one, {}, aim.regions[0] if isinstance(aim, Regions) else None, {})
        for method in methods:
            if method.name in refused or (made.maps and not cases and clock.left < 0):
                continue
            began = perf_counter()
            try:
                made = _with_map(made, method, pool.answering.network, inputs, aim, asked, clock)
            except WardroundError as error:
                if not (cases and isinstance(error, OutOfTimeError)):
                    refused[method.name] = str(error)
                continue
            seconds[method.name] = max(seconds.get(method.name, 0.0), perf_counter() - began)
        cases.append(made)
    return Mapped(methods, tuple(cases), len(chosen), refused, seconds, _forward(pool))


def _with_map(
    case: MapsOf, method: Method, network: nn.Module, inputs: Tensor, aim: Aim, asked: Asked, clock: Clock
) -> MapsOf:
    rng = generator(asked.seed, method.name, case.chosen.place, "explain")
    with clock.part(OF_ONE).bounded(0.0 if case.maps else LEAST_S):
        found = method.made.explain(network, inputs, aim, rng)
    maps = {**case.maps, method.name: _usable(found[0], inputs[0], method)}
    if not hasattr(method.made, "gaps"):
        return replace(case, maps=maps)
    off = float(cast(Complete, method.made).gaps(network, inputs, aim, found))
    return replace(case, maps=maps, gaps={**case.gaps, method.name: off})


def _method(name: str) -> Method:
    place = name if name in ATTRIBUTIONS.names() else resolved(name, Path.cwd())
    with trusting(ANYTHING):  # whoever asks names it, and no folder that came from elsewhere
        made = cast(Attribution, ATTRIBUTIONS.build(Entry(place)))
    if name in ATTRIBUTIONS.names():
        return Method(name, TITLES.get(name, name.replace("_", " ")), ATTRIBUTIONS.summary(name), made)
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
