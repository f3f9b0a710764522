"""Robustness: how the Dice of two methods falls as noise grows, as a curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from common.metrics.counts import Counts, f_beta
from common.seeding import generator
from experiments.pitfalls.masks import AGREED, INVENTED, Mask, disc

Values = NDArray[np.float64]

PICTURE = "robustness.svg"
NOISE = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Standard deviation, where the structure is 1 brighter than what is around it."""
IMAGES = 20
METHODS: Mapping[str, Callable[[Values], Mask]] = {
    "threshold": lambda image: np.asarray(image > 0.5),
    "smoothed, then threshold": lambda image: np.asarray(uniform_filter(image, 5) > 0.5),
}
COLOURS = (INVENTED, AGREED)
LESSON = f"""## Robustness

A disc of radius 5 mm, 1 brighter than its surroundings, under noise of growing standard deviation; each figure is
the mean Dice of {IMAGES} images. Without noise a plain threshold is perfect, and the method that smooths first loses
a little. Under noise the order turns round. A method is robust where its curve stays flat; one figure at one level of
noise, mostly the least, cannot say that: measure along the range of images that will come.

![Dice against noise](pitfalls/{PICTURE})
"""


@lru_cache(maxsize=1)
def curves() -> Mapping[str, tuple[float, ...]]:
    """Of each method, its mean Dice at each level of noise."""
    return {name: tuple(_mean_dice(method, level) for level in NOISE) for name, method in METHODS.items()}


def section() -> str:
    """Markdown."""
    rows = [
        f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |" for name, values in curves().items()
    ]
    head = "| noise | " + " | ".join(f"{level:g}" for level in NOISE) + " |"
    return "\n".join([LESSON, head, "|---|" + "---|" * len(NOISE), *rows]) + "\n"


def picture() -> str:
    """The curves as SVG; Dice upwards from 0 to 1, noise to the right."""
    grid = "".join(
        f'<path stroke="#d0d7de" d="M{_x(0):g} {_y(value):g}H{_x(NOISE[-1]):g}"/>'
        f'<text x="{_x(0) - 6:g}" y="{_y(value) + 4:g}" text-anchor="end">{value:g}</text>'
        for value in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    ticks = "".join(
        f'<text x="{_x(level):g}" y="{_y(0) + 16:g}" text-anchor="middle">{level:g}</text>' for level in NOISE
    )
    lines = "".join(
        f'<path fill="none" stroke="{colour}" stroke-width="2" d="{_way(values)}"/>'
        f'<text x="{_x(NOISE[-1]) + 6:g}" y="{_y(values[-1]) + 4:g}" fill="{colour}">{name}</text>'
        for (name, values), colour in zip(curves().items(), COLOURS, strict=True)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 520 250" width="520" height="250" '
        'font-family="sans-serif" font-size="12"><rect width="520" height="250" fill="#fff"/>'
        f'{grid}{ticks}{lines}<text x="{_x(1):g}" y="244" text-anchor="middle">standard deviation of the noise</text>'
        f'<text x="{_x(0):g}" y="14">Dice</text></svg>\n'
    )


def _mean_dice(method: Callable[[Values], Mask], level: float) -> float:
    rng = generator(3, "robustness", f"{level:g}")
    true = disc((32.0, 32.0), 5.0)
    images = [true + rng.normal(0, 1, true.shape) * level for _ in range(IMAGES)]
    return float(np.mean([f_beta(Counts.of(true, method(image), [1]))[0] for image in images]))


def _x(level: float) -> float:
    return 40 + 310 * level / NOISE[-1]


def _y(value: float) -> float:
    return 210 - 185 * value


def _way(values: tuple[float, ...]) -> str:
    points = [f"{_x(level):.1f} {_y(value):.1f}" for level, value in zip(NOISE, values, strict=True)]
    return "M" + "L".join(points)
