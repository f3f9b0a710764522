"""Lines and curves between two images' intensities: told apart, and the similarity of `auto` chosen by them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.choices import similarity_of
from common.registration.displacement import DisplacementField
from common.registration.linear import Linear
from common.registration.objective import Pair
from common.registration.record import Registration
from common.registration.register import register
from common.registration.relation import is_curved
from common.registration.sampling import resample
from common.registration.transform import Transform

LATTICE = Geometry.of((64, 56))
STILL = Linear.identity(2)
TRUE = Linear.of([[1.08, 0.06], [-0.04, 0.94]], [1.5, -1.0], LATTICE.centre_mm)
Values = NDArray[np.float64]


def tissue(seed: int = 0) -> Values:
    """From 0 to 1: a lump of unlike parts in much air."""
    rng = np.random.default_rng(seed)
    x, y = (axis - (size - 1) / 2 for axis, size in zip(np.indices(LATTICE.shape), LATTICE.shape, strict=True))
    parts = gaussian_filter(rng.normal(size=LATTICE.shape), 3.0)
    values = gaussian_filter(((x / 24) ** 2 + (y / 20) ** 2 < 1) * (0.6 + 0.4 * np.tanh(parts / parts.std())), 1.0)
    return np.asarray(values / values.max())


def image(values: Values) -> Image:
    return Image(values.astype(np.float32), LATTICE)


def noisy(values: Values) -> Values:
    return values + np.random.default_rng(1).normal(0, 0.05, values.shape)


def t2(values: Values) -> Values:
    return np.interp(values, [0, 0.2, 0.5, 0.8, 1], [0, 0.9, 1, 0.5, 0.2])


def shaded(values: Values) -> Values:
    return values * np.linspace(0.85, 1.15, LATTICE.shape[0])[:, None]


def permuted(values: Values) -> Values:
    return np.asarray(np.array([0.2, 0.9, 0.4, 0.0, 0.7])[np.minimum(5 * values, 4).astype(int)])


@pytest.mark.parametrize(
    ("seen", "curved"),
    [(lambda v: 3 * v + 1, False), (noisy, False), (shaded, False), (lambda v: noisy(3 * v), False),
     (lambda v: v**2.5, True), (np.sqrt, True), (t2, True), (permuted, True), (lambda v: 1 - v, True),
     (lambda v: noisy(np.abs(v - 0.5)), True)],
)  # fmt: skip
def test_a_curve_is_told_from_a_line_whatever_noise_and_shading(
    seen: Callable[[Values], Values], curved: bool
) -> None:
    pair = Pair(image(seen(tissue())), image(tissue()))
    assert is_curved(pair, STILL, similarity_of("cc")) is curved
    assert is_curved(pair.swapped(), STILL, similarity_of("cc")) is curved


def test_equal_intensities_are_asked_more_than_a_line() -> None:
    brighter = Pair(image(1.5 * tissue()), image(tissue()))
    assert is_curved(brighter, STILL, similarity_of("ssd"))
    assert not is_curved(brighter, STILL, similarity_of("cc"))
    assert not is_curved(Pair(image(noisy(tissue())), image(tissue())), STILL, similarity_of("ssd"))


def test_what_counts_is_within_the_masks_and_in_every_channel() -> None:
    left = np.indices(LATTICE.shape)[0] < 32
    half = image(np.where(left, tissue(), t2(tissue())))
    for moving, fixed in ((True, False), (False, True), (True, True)):
        for here, curved in ((left, False), (~left, True)):
            mask = Image(here, LATTICE)
            pair = Pair(half, image(tissue()), mask if moving else None, mask if fixed else None)
            assert is_curved(pair, STILL, similarity_of("cc")) is curved
    line = Pair(image(tissue()), image(tissue()))
    other = Pair(image(t2(tissue(2))), image(tissue(2)))
    assert is_curved(Pair(line.moving, line.fixed, also=(other,)), STILL, similarity_of("cc"))


def moved(true: Transform) -> tuple[Image, Image]:
    """As by another machine, so that the answer is `true`; and the fixed one."""
    other = t2(resample(image(tissue()), LATTICE, true.inverse()).values.astype(float))
    return image(other), image(tissue())


def error(found: Registration, true: Transform) -> float:
    points = torch.from_numpy(LATTICE.voxel_to_world(np.argwhere(tissue() > 0.2)))
    return float((found.transform.map_points(points) - true.map_points(points)).norm(dim=-1).mean())


@pytest.mark.parametrize("initial", [None, STILL])
def test_auto_finds_the_scale_of_another_contrast_from_any_start(initial: Linear | None) -> None:
    found = register(*moved(TRUE), "affine", initial=initial, points=2000)
    assert (found.similarity, found.doubts, found.notes) == ("mi", (), ())
    assert error(found, TRUE) < 0.1


def test_what_goes_by_a_line_is_noted_where_it_was_asked_for() -> None:
    for seen, notes in (
        (lambda v: v**2.5, ("a curve relates the intensities, which 'mi' goes by, not 'cc'",)),
        (noisy, ()),
    ):
        found = register(image(seen(tissue())), image(tissue()), "affine", "cc", initial=STILL, points=1500)
        assert (found.similarity, found.notes) == ("cc", notes)
    assert register(image(noisy(tissue())), image(tissue()), "rigid", points=1500).similarity == "cc"


def test_auto_bends_by_information_without_a_linear_search_too() -> None:
    rng = np.random.default_rng(4)
    field = np.stack([gaussian_filter(rng.normal(size=LATTICE.shape), 9) for _ in range(2)])
    true = DisplacementField(torch.from_numpy(1.5 * field / np.abs(field).max()), LATTICE)
    found = register(*moved(true), "displacement", before="none")
    assert found.similarity == "mi"
    assert error(found, true) < 0.3
