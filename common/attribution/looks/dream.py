"""DeepDream: an image that is changed, step by step, so that something in a network answers more (Mordvintsev,
Olah and Tyka 2015, Inceptionism).

What is ascended is any aim: a neuron, a map, the norm of a layer's answer, a class's logit or probability. Its
octaves shrink the image, which a network of fixed size cannot take; here what is added is coarse at first and finer
with every octave, and the image keeps its size.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d, interpolate

from common.attribution.aim import Aim
from common.attribution.gradients import asked, input_gradient
from common.attribution.limit import demand_time
from common.study.checks import between, non_negative, positive, sized

MODES = {2: "bilinear", 3: "trilinear"}
TINY = 1e-30
SMALLEST_SIDE = 2
"""Of an octave's coarse lattice."""


@dataclass(frozen=True)
class Dream:
    """steps: of every octave. step_size: how far a number moves in a step on average, as a share of its valid range.
    octaves: how many, from coarse to fine; 1 is plain ascent, and a table has no other. octave_scale: by how much
    each is finer than the one before. jitter: the image is moved by up to so many pixels before every step and back
    after it, so that no edge of a window is favoured. smoothness: weight of the total variation, in shares of the
    aim's own gradient, by which the image is kept from mere grain.
    """

    steps: int = 20
    step_size: float = 0.02
    octaves: int = 1
    octave_scale: float = 1.6
    jitter: int = 0
    smoothness: float = 0.0

    def __post_init__(self) -> None:
        sized("dream", 100_000, steps=self.steps, octaves=self.octaves)
        positive("dream", step_size=self.step_size)
        between("dream", 1, 16, octave_scale=self.octave_scale)
        non_negative("dream", jitter=self.jitter, smoothness=self.smoothness)


@dataclass(frozen=True, eq=False)
class Dreamt:
    """images: of the shape they were begun with, within the valid range, all finite: those of the largest value.

    values: mean of the aim over cases, before the first step and after each. stuck: whether the aim had no gradient
    at any step: it could not be climbed from there, as a ReLU that is silent cannot.
    """

    images: Tensor
    values: tuple[float, ...]
    stuck: bool

    @property
    def reached(self) -> float:
        """The largest value."""
        return max(self.values)


def dream(
    network: nn.Module, begin: Tensor, aim: Aim, low: Tensor, high: Tensor, options: Dream, rng: Generator
) -> Dreamt:
    """Ascend the aim of every case, from images or from noise.

    begin: (N, C, *S) or (N, F). low, high: the valid range, of a shape that broadcasts to `begin`; what lies outside
    is brought to its end first. rng: draws the jitter, on the CPU. Where a step's gradient is not finite the ascent
    ends before it. Raises OutOfTimeError (`common.attribution.limit`).
    """
    low, high = low.to(begin), high.to(begin)
    span, images = high - low, torch.minimum(torch.maximum(begin.detach(), low), high)
    values, stuck, best = [_mean(network, images, aim)], True, images
    for sides in _octaves(tuple(begin.shape[2:]), options):
        for _ in range(options.steps):
            demand_time()
            step = _step(network, images, aim, sides, span, options, rng)
            if not bool(step.isfinite().all()):
                return Dreamt(best, tuple(values), stuck)
            stuck = stuck and not bool(step.any())
            moved = torch.minimum(torch.maximum(images + options.step_size * span * step, low), high)
            value = _mean(network, moved, aim)
            if not isfinite(value):
                return Dreamt(best, tuple(values), stuck)
            images, best = moved, moved if value > max(values) else best
            values.append(value)
    return Dreamt(best, tuple(values), stuck)


def noise_within(low: Tensor, high: Tensor, shape: tuple[int, ...], contrast: float, rng: Generator) -> Tensor:
    """(N, ...) float32: about the middle of the valid range, of a deviation of `contrast` of it; none beyond it."""
    drawn = torch.randn(shape, generator=rng) * contrast + 0.5
    return low + (high - low) * drawn.clamp(0, 1)


def _octaves(sides: tuple[int, ...], options: Dream) -> list[tuple[int, ...]]:
    """The lattice on which each octave moves the image; () and the image's own is its own."""
    if not sides:
        return [()]
    powers = [options.octave_scale ** (options.octaves - 1 - place) for place in range(options.octaves)]
    found = [tuple(max(min(SMALLEST_SIDE, side), round(side / power)) for side in sides) for power in powers]
    return [*(one for one, after in pairwise(found) if one != after), sides]


def _step(
    network: nn.Module,
    images: Tensor,
    aim: Aim,
    sides: tuple[int, ...],
    span: Tensor,
    options: Dream,
    rng: Generator,
) -> Tensor:
    """(N, ...) of mean size 1 in every case, in shares of the valid range; 0 where there is no gradient."""
    axes = tuple(range(2, images.ndim))
    shifts = torch.randint(-options.jitter, options.jitter + 1, (len(axes),), generator=rng).tolist()
    rolled = torch.roll(images, shifts, axes) if axes else images
    ascent = input_gradient(network, rolled, aim)
    ascent = (torch.roll(ascent, [-shift for shift in shifts], axes) if axes else ascent) * span
    if axes and sides != tuple(images.shape[2:]):
        ascent = _coarse(ascent, sides)
    ascent = _even(ascent)
    if options.smoothness and axes:
        ascent = _even(ascent - options.smoothness * _even(_roughness_gradient(images / span.clamp(min=TINY))))
    return ascent


def _coarse(values: Tensor, sides: tuple[int, ...]) -> Tensor:
    """What a lattice of fewer points can say, as large as before."""
    if len(sides) not in MODES:
        return values
    pooled = adaptive_avg_pool2d(values, sides) if len(sides) == 2 else adaptive_avg_pool3d(values, sides)  # type: ignore[arg-type]
    return interpolate(pooled, size=tuple(values.shape[2:]), mode=MODES[len(sides)], align_corners=False)


def _even(values: Tensor) -> Tensor:
    """Divided by the mean size of a case's numbers; a case of zeros stays one. Large and small numbers do no harm."""
    flat = values.flatten(1).double()
    largest = flat.abs().amax(1, keepdim=True).clamp(min=TINY)
    scaled = flat / largest
    mean = scaled.abs().mean(1, keepdim=True).clamp(min=TINY)
    return (scaled / mean).reshape(values.shape).to(values.dtype)


def _roughness_gradient(images: Tensor) -> Tensor:
    """Of the total variation, sum of |differences of neighbours| along all axes: of each number the signs."""
    found = torch.zeros_like(images)
    for axis in range(2, images.ndim):
        signs = images.diff(dim=axis).sign()
        length = images.shape[axis]
        found.narrow(axis, 1, length - 1).add_(signs)
        found.narrow(axis, 0, length - 1).sub_(signs)
    return found


def _mean(network: nn.Module, images: Tensor, aim: Aim) -> float:
    with asked(network), torch.no_grad():
        return float(aim.values(network, images).double().mean())
