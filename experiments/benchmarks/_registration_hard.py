"""Hard pairs for a registration, drawn at random, whose truth is known: what it finds, misses, and says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from common.data.geometry import Geometry
from common.data.image import Image, read_image
from common.registration.linear import Linear
from common.registration.pyramid import coarser
from common.registration.sampling import Sampler, lattice_points, resample
from common.registration.transform import Transform
from common.seeding import generator
from experiments.benchmarks._data import find
from experiments.benchmarks._registration_changes import like_ultrasound, other_contrast

Values = NDArray[np.float64]
FLAT_SPACING_MM = 4.0
SOLID_SPACING_MM = 6.0
SHRINKING = 2.0
BRIGHT_SHARE = 0.15
BOUND_VOXELS = 2.0
OTHER_PATIENT_MM = {2: 40.0, 3: 8.0}


@dataclass(frozen=True, eq=False)
class Hard:
    """true: where points of the fixed image go, None where there is no right answer but a doubt. bound_mm: of errors.

    points: (N, D) of the fixed image's bright part that has a counterpart.
    """

    kind: str
    moving: Image
    fixed: Image
    transform: str
    true: Linear | None
    bound_mm: float
    points: Values

    def error_mm(self, found: Transform) -> float:
        """Mean distance to where the points should be; infinite where they should be nowhere."""
        if self.true is None:
            return float("inf")
        points = torch.from_numpy(self.points)
        with torch.no_grad():
            return float((found.map_points(points) - self.true.map_points(points)).norm(dim=-1).mean())


def hard_case(number: int, seed: int) -> Hard:
    """Each kind in turn, flat and solid ones by turns."""
    rng = generator(seed, "hard registrations", number)
    kinds = list(KINDS)
    kind = kinds[number % len(kinds)]
    dimensions = 3 if (number // len(kinds)) % 3 == 2 else 2
    return KINDS[kind](_Draw(kind, dimensions, rng))


@dataclass(frozen=True, eq=False)
class _Draw:
    kind: str
    dimensions: int
    rng: np.random.Generator

    @property
    def spacing_mm(self) -> float:
        return FLAT_SPACING_MM if self.dimensions == 2 else SOLID_SPACING_MM

    def source(self) -> Image:
        """A head at twice the resolution."""
        heads = _flat_heads() if self.dimensions == 2 else _solid_heads()
        return heads[int(self.rng.integers(len(heads)))]

    def rotation(self, largest: float) -> Values:
        """(D, D) about any axis, by up to so many degrees."""
        angle = np.deg2rad(self.rng.uniform(-largest, largest))
        if self.dimensions == 2:
            return np.asarray(Rotation.from_euler("z", angle).as_matrix()[:2, :2])
        axis = self.rng.normal(size=3)
        return np.asarray(Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix())

    def shift(self, source: Image, share: float) -> Values:
        """(D,) mm, `share` of the image's size along some direction."""
        way = self.rng.normal(size=self.dimensions)
        return share * way / np.linalg.norm(way) * (np.array(source.geometry.shape) * source.geometry.spacing_mm)

    def hard(self, source: Image, true: Linear, transform: str, *, other: Image | None = None) -> Hard:
        """The fixed image is what the (other) source looks like through the truth."""
        fixed = resample(other or source, source.geometry, true)
        step = min(SHRINKING, self.spacing_mm / source.geometry.spacing_mm[0])
        return _placed(
            Hard(self.kind, coarser(source, step), coarser(fixed, step), transform, true,
                 BOUND_VOXELS * self.spacing_mm, np.empty((0, self.dimensions)))
        )  # fmt: skip

    def about(self, source: Image, matrix: Values, shift: Values | None = None) -> Linear:
        """About the middle of the image."""
        return Linear.of(matrix, np.zeros(self.dimensions) if shift is None else shift, source.geometry.centre_mm)

    def plain(self, degrees: float = 25.0, share: float = 0.05) -> Hard:
        """Turned and shifted a little."""
        source = self.source()
        return self.hard(source, self.about(source, self.rotation(degrees), self.shift(source, share)), "rigid")


def _placed(hard: Hard) -> Hard:
    """With the points to judge by."""
    if hard.true is None:
        return hard
    bright = hard.fixed.values > hard.fixed.values.min() + BRIGHT_SHARE * np.ptp(hard.fixed.values)
    points = lattice_points(hard.fixed.geometry)[torch.from_numpy(bright)]
    inside = Sampler.of(hard.moving).at(hard.true.map_points(points))[1]
    return replace(hard, points=points[inside].numpy())


def _changed(image: Image, change: Callable[[Values], Values]) -> Image:
    return Image(change(np.asarray(image.values, np.float64)).astype(np.float32), image.geometry)


def _rotated(draw: _Draw) -> Hard:
    return draw.plain(180.0)


def _shifted(draw: _Draw) -> Hard:
    """Lattices overlap by a fifth to three fifths: both are windows of one image."""
    source, share = draw.source(), draw.rng.uniform(0.2, 0.6)
    axis = int(draw.rng.integers(draw.dimensions))
    hard = draw.hard(source, draw.about(source, draw.rotation(10.0)), "rigid")
    size = hard.fixed.geometry.shape[axis]
    half = max(6, round(size * (1 + share) / 2 * draw.rng.uniform(0.85, 1)))
    first, last = [slice(None)] * draw.dimensions, [slice(None)] * draw.dimensions
    first[axis], last[axis] = slice(0, half), slice(size - half, size)
    return _elsewhere(replace(hard, fixed=_window(hard.fixed, first), moving=_window(hard.moving, last)), draw.rng)


def _elsewhere(hard: Hard, rng: np.random.Generator) -> Hard:
    """The moving image's file says that it lies up to half of its size away from where it does."""
    geometry, true = hard.moving.geometry, hard.true
    assert true is not None
    away = rng.uniform(-0.5, 0.5, geometry.dimensions) * geometry.shape * geometry.spacing_mm
    affine = geometry.affine.copy()
    affine[:-1, -1] += away
    still = np.eye(geometry.dimensions)
    moved = Image(hard.moving.values, Geometry(geometry.shape, affine))
    return _placed(replace(hard, moving=moved, true=Linear.of(still, away).after(true)))


def _window(image: Image, parts: list[slice]) -> Image:
    geometry = image.geometry
    low = geometry.voxel_to_world([part.indices(size)[0] for part, size in zip(parts, geometry.shape, strict=True)])
    values = np.ascontiguousarray(image.values[tuple(parts)])
    affine = geometry.affine.copy()
    affine[:-1, -1] = low
    return Image(values, Geometry(values.shape, affine))


def _scaled(draw: _Draw) -> Hard:
    source = draw.source()
    scale = np.exp(draw.rng.uniform(np.log(0.7), np.log(1.4)))
    return draw.hard(source, draw.about(source, scale * draw.rotation(40.0), draw.shift(source, 0.08)), "affine")


def _sheared(draw: _Draw) -> Hard:
    source = draw.source()
    matrix = draw.rotation(30.0) @ (np.eye(draw.dimensions) + draw.rng.uniform(-0.2, 0.2, [draw.dimensions] * 2))
    return draw.hard(source, draw.about(source, matrix, draw.shift(source, 0.08)), "affine")


def _cropped(draw: _Draw) -> Hard:
    """One of them is a box of less than half of the other's size along each axis, elsewhere in the world."""
    hard = draw.plain(60.0)
    whole = hard.fixed if draw.rng.uniform() < 0.5 else hard.moving
    lengths = [max(8, round(size * draw.rng.uniform(0.35, 0.6))) for size in whole.geometry.shape]
    lows = [int(draw.rng.integers(size // 5, size - size // 6 - length + 1)) if size - size // 6 - length > size // 5
            else 0 for size, length in zip(whole.geometry.shape, lengths, strict=True)]  # fmt: skip
    box = _window(whole, [slice(low, low + length) for low, length in zip(lows, lengths, strict=True)])
    return _elsewhere(replace(hard, fixed=box) if whole is hard.fixed else replace(hard, moving=box), draw.rng)


def _thick(draw: _Draw) -> Hard:
    """One of them has voxels three to five times as long along one axis."""
    hard = draw.plain(40.0)
    axis, factor = int(draw.rng.integers(draw.dimensions)), float(draw.rng.uniform(3, 5))
    shape = [
        max(6, round(size / factor)) if at == axis else size for at, size in enumerate(hard.fixed.geometry.shape)
    ]
    sigma = [factor / 2.5 if at == axis else 0.0 for at in range(draw.dimensions)]
    smooth = _changed(hard.fixed, lambda values: gaussian_filter(values, sigma))
    still = Linear.identity(draw.dimensions)
    return _placed(replace(hard, fixed=resample(smooth, smooth.geometry.resized(tuple(shape)), still)))


def _noisy(draw: _Draw) -> Hard:
    hard, sigma = draw.plain(120.0), draw.rng.uniform(0.05, 0.5)

    def noise(values: Values) -> Values:
        return values + draw.rng.normal(0, sigma * np.ptp(values), values.shape)

    return replace(hard, fixed=_changed(hard.fixed, noise), moving=_changed(hard.moving, noise))


def _shaded(draw: _Draw) -> Hard:
    """A slow field multiplies one of them, by e^-1 to e."""
    hard = draw.plain(45.0)
    slow = gaussian_filter(draw.rng.normal(size=hard.fixed.values.shape), max(hard.fixed.values.shape) / 5)
    slow *= draw.rng.uniform(0.5, 1.0) / np.abs(slow).max()
    return replace(hard, fixed=_changed(hard.fixed, lambda values: (values - values.min()) * np.exp(slow)))


def _inverted(draw: _Draw) -> Hard:
    hard = draw.plain(60.0)
    return replace(hard, fixed=_changed(hard.fixed, lambda values: values.max() - values))


def _other_contrast(draw: _Draw) -> Hard:
    hard = draw.plain(45.0)
    return replace(hard, fixed=_changed(hard.fixed, other_contrast))


def _sounded(draw: _Draw) -> Hard:
    hard = draw.plain(30.0)
    return replace(hard, fixed=_changed(hard.fixed, lambda values: like_ultrasound(values, draw.rng)))


def _other_patient(draw: _Draw) -> Hard:
    """Two patients that lie alike within a few voxels, one of them turned."""
    one, two = (_patient(draw.dimensions, int(number)) for number in draw.rng.permutation(6)[:2])
    two = resample(
        two, one.geometry, Linear.of(np.eye(draw.dimensions), two.geometry.centre_mm - one.geometry.centre_mm)
    )
    true = draw.about(one, draw.rotation(90.0), draw.shift(one, 0.08))
    bound = OTHER_PATIENT_MM[draw.dimensions]
    hard = replace(draw.hard(one, true, "affine", other=two), bound_mm=bound)
    return _placed(hard)


def _patient(dimensions: int, number: int) -> Image:
    return _flat_heads()[number] if dimensions == 2 else _hippocampus(3, number)


def _unrelated(draw: _Draw) -> Hard:
    """A head, and what is none."""
    hard = draw.plain()
    shape, which = hard.fixed.geometry.shape, int(draw.rng.integers(4))
    if which == 0:
        values = draw.rng.normal(size=shape)
    elif which == 1:
        values = gaussian_filter(draw.rng.normal(size=shape), draw.rng.uniform(1, 5))
    elif which == 2:
        values = sum(np.sin(part / draw.rng.uniform(1, 4)) for part in np.indices(shape))
    else:
        values = np.asarray(_hippocampus(draw.dimensions, int(draw.rng.integers(40))).values, np.float64)
    geometry = Geometry.of(values.shape, draw.spacing_mm)
    return replace(hard, fixed=Image(values.astype(np.float32), geometry), true=None,
                   transform=str(draw.rng.choice(["rigid", "affine"])))  # fmt: skip


def _mirrored(draw: _Draw) -> Hard:
    hard = draw.plain(60.0)
    return replace(hard, fixed=_changed(hard.fixed, lambda values: values[::-1].copy()), true=None)


def _half_empty(draw: _Draw) -> Hard:
    """Half of one of them was lost and is its darkest value."""
    hard, axis = draw.plain(60.0), int(draw.rng.integers(draw.dimensions))

    def emptied(values: Values) -> Values:
        values = values.copy()
        half = values.shape[axis] // 2
        values.swapaxes(0, axis)[slice(half) if draw.rng.uniform() < 0.5 else slice(half, None)] = values.min()
        return values

    return _placed(replace(hard, fixed=_changed(hard.fixed, emptied)))


def _textured(draw: _Draw) -> Hard:
    """Tissue of repeated cells with a few landmarks, or with none: then no place is the right one."""
    source = draw.source()
    places = [part * draw.rng.uniform(0.5, 0.9) for part in np.indices(source.geometry.shape)]
    cells = np.prod([np.cos(part) for part in places], axis=0)
    marks = gaussian_filter(draw.rng.normal(size=source.geometry.shape), 4.0)
    marked = draw.rng.uniform() < 0.7
    values = cells + (2.0 * marks / marks.std() if marked else 0.0)
    tissue = Image(values.astype(np.float32), source.geometry)
    hard = draw.hard(tissue, draw.about(tissue, draw.rotation(30.0), draw.shift(tissue, 0.15)), "rigid")
    inside = [slice(size // 6, size - size // 6) for size in hard.fixed.geometry.shape]
    hard = _placed(replace(hard, fixed=_window(hard.fixed, inside)))
    return hard if marked else replace(hard, true=None)


def _mixed(draw: _Draw) -> Hard:
    """Several at once."""
    hard = _cropped(draw) if draw.rng.uniform() < 0.4 else _scaled(draw)
    sigma = draw.rng.uniform(0.02, 0.1)
    fixed = _changed(hard.fixed, lambda values: values + draw.rng.normal(0, sigma * np.ptp(values), values.shape))
    if draw.rng.uniform() < 0.4:
        fixed = _changed(fixed, other_contrast)
    return replace(hard, fixed=fixed)


KINDS: dict[str, Callable[[_Draw], Hard]] = {
    "rotation": _rotated,
    "small overlap": _shifted,
    "scale": _scaled,
    "shear": _sheared,
    "cropped": _cropped,
    "thick slices": _thick,
    "noise": _noisy,
    "bias field": _shaded,
    "inverted": _inverted,
    "other contrast": _other_contrast,
    "ultrasound-like": _sounded,
    "other patient": _other_patient,
    "unrelated": _unrelated,
    "mirrored": _mirrored,
    "half empty": _half_empty,
    "texture": _textured,
    "mixed": _mixed,
}


@cache
def _flat_heads() -> list[Image]:
    paths = sorted(find("ants-2d-slices").glob("*.jpg"))
    return [_flat_head(path) for path in paths]


def _flat_head(path: Path) -> Image:
    values = np.asarray(Picture.open(path).convert("L"), np.float32).T
    image = Image(values, Geometry.of(values.shape))
    return coarser(image, FLAT_SPACING_MM / 2)


@cache
def _solid_heads() -> list[Image]:
    return [coarser(read_image(find("brain-3d-labelled") / f"antspy_{name}.nii.gz"), SOLID_SPACING_MM / 2)
            for name in ("ch2", "mni")]  # fmt: skip


@cache
def _hippocampus(dimensions: int, number: int) -> Image:
    image = read_image(sorted((find("hippocampus") / "images").glob("*.nii.gz"))[number])
    image = _changed(image, lambda values: np.clip(values / np.percentile(values, 99), 0, 1))
    if dimensions == 3:
        return image
    return Image(image.values[:, :, image.geometry.shape[2] // 2], Geometry.of(image.geometry.shape[:2]))
