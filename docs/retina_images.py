"""Write photographs of retinas that nobody has: vessels at three clinics with unlike cameras, and their outlines.

python docs/retina_images.py photos/retina [IMAGES A CLINIC] [SIDE]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Pixels = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """colour: of the fundus. vessel: what of it is left where a vessel runs. blur, noise: of the picture; shade:
    how much darker its rim is.
    """

    colour: tuple[float, float, float]
    vessel: tuple[float, float, float]
    blur: float
    noise: float
    shade: float


CLINICS = {
    "Ghent": Camera((0.82, 0.42, 0.20), (0.80, 0.55, 0.70), blur=0.5, noise=0.03, shade=0.2),
    "Porto": Camera((0.55, 0.30, 0.25), (0.85, 0.60, 0.75), blur=0.9, noise=0.03, shade=0.5),
    "Turku": Camera((0.70, 0.60, 0.30), (0.70, 0.70, 0.60), blur=0.7, noise=0.07, shade=0.3),
}


def write(folder: Path, images: int, side: int) -> None:
    """`CLINIC/images/NAME.png` in colour, and `CLINIC/masks/NAME.png` of 0 and 255."""
    for place, (clinic, camera) in enumerate(CLINICS.items()):
        for kind in ("images", "masks"):
            (folder / clinic / kind).mkdir(parents=True, exist_ok=True)
        for index in range(images):
            rng = np.random.default_rng([2031, place, index])
            outline = vessels(rng, side)
            name = f"{clinic[0]}{index:03d}.png"
            Image.fromarray((255 * photograph(outline, camera, rng)).astype(np.uint8)).save(
                folder / clinic / "images" / name
            )
            Image.fromarray((255 * outline).astype(np.uint8)).save(folder / clinic / "masks" / name)


def vessels(rng: np.random.Generator, side: int) -> Pixels:
    """(side, side) of 0 and 1: trees that begin at the optic disc, bend, divide and become thinner."""
    drawn = np.zeros((side, side))
    disc = np.array([side * rng.uniform(0.4, 0.6), side * rng.uniform(0.2, 0.3)])
    turns = np.linspace(-1.3, 1.3, 6) + rng.normal(0, 0.15, 6)
    ends = [(disc, float(turn), side / 45) for turn in turns]
    rows, columns = np.mgrid[:side, :side]
    while ends:
        place, turn, width = ends.pop()
        for _ in range(int(rng.integers(side // 6, side // 3))):
            place = place + np.array([np.sin(turn), np.cos(turn)])
            turn += rng.normal(0, 0.12)
            near = tuple(slice(max(0, int(middle - width)), max(0, int(middle + width) + 2)) for middle in place)
            drawn[near][np.hypot(rows[near] - place[0], columns[near] - place[1]) <= width] = 1
        if width > side / 120 and (place >= 0).all() and (place < side).all():
            ends += [(place, turn + sign * rng.uniform(0.3, 0.7), 0.7 * width) for sign in (-1, 1)]
    return drawn * _seen(side)


def photograph(outline: Pixels, camera: Camera, rng: np.random.Generator) -> Pixels:
    """(side, side, 3) from 0 to 1: the fundus with its vessels and a few spots, as a camera takes it."""
    side = len(outline)
    soft = gaussian_filter(outline, camera.blur)[..., None]
    spots = gaussian_filter((rng.random((side, side)) < 0.002).astype(float), 1.5)[..., None] * 8
    texture = gaussian_filter(rng.normal(0, 1, (side, side)), side / 16)[..., None]
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    light = 1 - camera.shade * 2 * np.hypot(rows, columns)[..., None]
    image = np.array(camera.colour) * (1 - soft * (1 - np.array(camera.vessel))) * light
    image = image * (1 + 0.8 * texture) + spots * rng.choice([-0.1, 0.1])
    noisy = (image + rng.normal(0, camera.noise, image.shape)) * _seen(side)[..., None]
    return np.asarray(np.clip(noisy, 0, 1), np.float64)


def _seen(side: int) -> Pixels:
    """The round field of view."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    return np.asarray(np.hypot(rows, columns) < 0.48, np.float64)


if __name__ == "__main__":
    place, *counts = sys.argv[1:]
    number, side = (int(one) for one in [*counts, *("20", "96")[len(counts) :]])
    write(Path(place), number, side)
