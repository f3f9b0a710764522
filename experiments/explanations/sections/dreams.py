"""DeepDream: what would excite the model most, from noise, and on a case of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from common.attribution.aim import Aim
from common.attribution.aims import FeatureMap, LayerNorm, Neuron
from common.attribution.layers import answers_by_layer
from common.attribution.looks.dream import Dream, Dreamt, dream, noise_within
from common.errors import OutOfTimeError
from common.seeding import torch_generator
from experiments.explanations.clock import Clock
from experiments.explanations.pictures import grey_picture, shown, sliced, strip
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.subject import Subject
from server.reporting.markup import Markup
from server.reporting.sections.layout import figure, section
from server.reporting.wording import plain

KEY = "dreams"
OPTIONS = Dream(steps=12, step_size=0.03, octaves=3, jitter=1, smoothness=0.3)
CONTRAST = 0.05
STUCK = "has no slope here: nothing could be changed to excite it"


@dataclass(frozen=True, eq=False)
class Dreamed:
    """name: of what was ascended. ground: what it began with, in words."""

    name: str
    ground: str
    found: Dreamt

    @property
    def rise(self) -> str:
        """From what to what."""
        first, last = (plain(float(f"{value:.3g}")) for value in (self.found.values[0], self.found.reached))
        return STUCK if self.found.stuck else f"{first} to {last}"


@dataclass(frozen=True, eq=False)
class Dreams:
    """case: (C, *S) that dreams of cases began with. left_out: dreams for which there was no time."""

    case: Tensor
    dreamed: tuple[Dreamed, ...]
    left_out: int

    @property
    def word(self) -> str:
        """In the contents."""
        return "Dreams"

    def finding(self) -> str:
        """None."""
        return ""

    def facts(self) -> Mapping[str, Any]:
        """How far each was climbed."""
        return {
            "dreams": [
                {"of": one.name, "from": one.ground, "begin": one.found.values[0], "reached": one.found.reached,
                 "steps": len(one.found.values) - 1, "stuck": one.found.stuck}
                for one in self.dreamed
            ],
            "left_out": self.left_out,
        }  # fmt: skip

    def markup(self) -> Markup:
        """Two strips."""
        lede = (
            "Here the image is changed instead of the model: step by step, so that one answer or one part of the "
            "network is excited as much as it can be, within the values that images of this study have. What appears "
            "is what that part waits for. It is no patient, and no typical image of an illness: a model can be "
            "excited by what no patient has, and often is."
        )
        parts = []
        for ground in dict.fromkeys(one.ground for one in self.dreamed):
            own = [one for one in self.dreamed if one.ground == ground]
            first = [shown(grey_picture(sliced(self.case)), "the case")] if ground != "noise" else []
            pictures = [shown(grey_picture(sliced(one.found.images[0])), one.name, one.rise) for one in own]
            parts.append(figure(f"Begun with {ground}", strip([*first, *pictures], large=True)))
        return section(KEY, "What excites it?", lede, *parts)


def dreams(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """Of images."""
    pool = subject.pool
    if pool is None or pool.is_table:
        return None
    chosen = pool.chosen(asked.cases)
    if not chosen:
        return None
    network, (low, high) = subject.answering.network, pool.range
    case = pool.inputs[chosen[0].place : chosen[0].place + 1]
    noise = noise_within(low, high, tuple(case.shape), CONTRAST, torch_generator(asked.seed, "noise"))
    answers, inner = pool.answering.wishes(case), _inner(subject, case)
    wanted = [
        *((name, "noise", noise, aim) for name, aim in {**answers, **inner}.items()),
        *((name, "a case", case, aim) for name, aim in {**answers, **dict(list(inner.items())[-1:])}.items()),
    ]
    found: list[Dreamed] = []
    for name, ground, begin, aim in wanted:
        clock.say(f"Dreaming of {name}")
        rng = torch_generator(asked.seed, "dream", name, ground)
        try:
            with clock.bounded():
                found.append(Dreamed(name, ground, dream(network, begin, aim, low, high, OPTIONS, rng)))
        except OutOfTimeError:
            break
    if not found:
        raise OutOfTimeError("Not one dream fitted into the seconds (--seconds).")
    return Dreams(case[0], tuple(found), len(wanted) - len(found))


def _inner(subject: Subject, case: Tensor) -> dict[str, Aim]:
    """A neuron, a map and a whole layer in the middle of the network: the last of its layers that has maps, but for
    its answer, and the first one."""
    answers = {name: one for name, one in answers_by_layer(subject.answering.network, case).items()
               if one.ndim == case.ndim and one[0, 0].numel() > 1}  # fmt: skip
    if not answers:
        return {}
    first, last = next(iter(answers)), list(answers)[-1]
    channel = int(answers[last][0].flatten(1).std(1).argmax())
    found: dict[str, Aim] = {f"all of the first layer, {first}": LayerNorm(first)}
    found[f"one neuron in the middle of {last}"] = Neuron(last, channel)
    found[f"map {channel} of {last}"] = FeatureMap(last, channel)
    found[f"all of the last layer, {last}"] = LayerNorm(last)
    return found


make: Make = dreams
