"""Other programs are asked rightly: what they find for a plain shift is that shift, the same way round."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.typing import NDArray

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.linear import Linear
from common.registration.sampling import lattice_points
from experiments.benchmarks._registration_problems import ImagePair, Known
from experiments.benchmarks._registration_programs import PEERS_PYTHON, Program, our_program, peer, run
from experiments.benchmarks.registration import DENSE_PEERS, LINEAR_PEERS

SHIFT_MM = {
    "rigid": (7.0, 3.0),
    "affine": (7.0, 3.0, -2.5),
    "displacement": (2.0, -1.0, 0.5),
    "both": (7.0, 3.0, -2.5),
}
LARGEST_SHARE = 0.3
"""Of the shift, by which an answer may be off: less than any axis turned round or left out would make."""

asked = pytest.mark.skipif(
    PEERS_PYTHON not in os.environ, reason=f"{PEERS_PYTHON} names no Python with other programs"
)
KINDS = [(name, kind) for kind in ("rigid", "affine") for name in LINEAR_PEERS]
KINDS += [(name, kind) for kind in ("displacement", "both") for name in DENSE_PEERS]


def blobs(points: NDArray[np.float64]) -> NDArray[np.float32]:
    rng, total = np.random.default_rng(0), np.zeros(points.shape[:-1])
    for _ in range(14):
        centre, width = rng.uniform(-14, 14, size=points.shape[-1]), rng.uniform(3, 6)
        total += rng.uniform(0.3, 1) * np.exp(-0.5 * ((points - centre) ** 2).sum(-1) / width**2)
    return (100 * total).astype(np.float32)


def shifted(kind: str) -> ImagePair:
    """Of unequal axes; the moving lattice lies elsewhere too, but for what has no linear search before it."""
    shift = np.array(SHIFT_MM[kind])
    size = len(shift)
    shape, spacing, origin = (
        (44, 40, 36)[:size],
        np.array([1.0, 1.2, 1.1])[:size],
        np.array([-18.5, -25.4, -18.3])[:size],
    )
    there = np.zeros(size) if kind == "displacement" else np.array([5.0, 4.0, -3.0])[:size]
    fixed, moving = Geometry.of(shape, spacing, origin), Geometry.of(shape, spacing, origin + there)
    points = lattice_points(fixed).numpy()
    values = blobs(points)
    images = Image(values, fixed), Image(blobs(lattice_points(moving).numpy() - shift), moving)
    return ImagePair(*images, Known(Linear.of(np.eye(size), shift), points[values > 30]))


def assert_finds_the_shift(program: Program, kind: str) -> None:
    (outcome,) = run(program, [shifted(kind)])
    assert outcome is not None
    assert outcome.scores["error mm"] < LARGEST_SHARE * float(np.linalg.norm(SHIFT_MM[kind]))
    assert outcome.scores["CPU s"] > 0


@asked
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_another_program_finds_a_plain_shift(name: str, kind: str) -> None:
    assert_finds_the_shift(peer(name, kind, "same"), kind)


@pytest.mark.parametrize(
    ("kind", "transform"),
    [("rigid", "rigid"), *([("both", "displacement")] if os.environ.get("WARDROUND_DRILLS") else [])],
)
def test_ours_is_asked_the_same_way(kind: str, transform: str) -> None:
    """A linear search and a deformation after it in the drills."""
    assert_finds_the_shift(our_program("ours", kind, transform, "cc"), kind)


def test_a_program_that_is_absent_or_fails_leaves_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = shifted("rigid")
    assert run(our_program("ours", "rigid", "no such transform", "cc"), [problem, problem]) == [None, None]
    monkeypatch.delenv(PEERS_PYTHON, raising=False)
    assert run(peer("greedy", "rigid", "same"), [problem]) == [None]
