from __future__ import annotations

import base64
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import BSpline

from client.sources import _phantom_atlas
from client.sources._phantom_anatomy import (
    CONTROL_POINTS,
    CONTROL_SPACING_MM,
    Anatomy,
    draw_anatomy,
    draw_lesions,
)
from client.sources._phantom_atlas import AIR, CSF, DEEP_GREY, GREY, LESION, WHITE, Atlas, atlas
from common.errors import SourceError

STILL = np.zeros((3, CONTROL_POINTS, CONTROL_POINTS, CONTROL_POINTS))
LINE_MM = np.linspace(-40, 40, 9).astype(np.float32)


def unmoved(**changes: np.ndarray) -> Anatomy:
    parts = {"matrix": np.eye(3), "offset_mm": np.zeros(3), "control_mm": STILL, "lesions": np.empty((0, 4))}
    return Anatomy(**{**parts, **changes})


def tissue_at(x: int, y: int, z: int) -> int:
    place = np.array([x, y, z]) - atlas().origin_mm.astype(int)
    return int(atlas().labels[tuple(place)])


def slow_point(anatomy: Anatomy, place_mm: tuple[float, float, float]) -> np.ndarray:
    """One point at a time, with SciPy's B-splines."""
    first = -(CONTROL_POINTS - 1) / 2
    weights = []
    for coordinate in place_mm:
        splines = [BSpline.basis_element(first + k + np.arange(-2, 3), False) for k in range(CONTROL_POINTS)]
        weights.append([np.nan_to_num(spline(coordinate / CONTROL_SPACING_MM)) for spline in splines])
    x, y, z = weights
    return anatomy.matrix @ place_mm + anatomy.offset_mm + np.einsum("ckji,k,j,i->c", anatomy.control_mm, z, y, x)


def test_points_follow_the_affine_map_and_the_b_splines_of_scipy() -> None:
    anatomy = draw_anatomy(np.random.default_rng(5))
    points = anatomy.atlas_points(LINE_MM, LINE_MM[::-1], 7.0)
    for row, column in [(0, 0), (3, 8), (8, 2), (4, 4)]:
        slow = slow_point(anatomy, (LINE_MM[column], LINE_MM[::-1][row], 7.0))
        np.testing.assert_allclose(points[:, row, column], slow, atol=1e-6)


def test_an_unmoved_head_is_the_atlas() -> None:
    across = np.arange(-60, 60, dtype=np.float32)
    slab = unmoved().slab(atlas(), across, across, 3.0, np.float32([0.0, 2.0]))
    start = (np.array([-60, -60, 3]) - atlas().origin_mm).astype(int)
    for depth, z in enumerate((start[2], start[2] + 2)):
        expected = atlas().labels[start[0] : start[0] + 120, start[1] : start[1] + 120, z]
        np.testing.assert_array_equal(slab[depth], expected.T)


def test_no_patient_is_folded() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        anatomy = draw_anatomy(rng)
        grid = np.linspace(-100, 100, 41).astype(np.float32)
        points = np.stack([anatomy.atlas_points(grid, grid, z) for z in (-5.0, 0.0, 5.0)], axis=1)
        gradients = np.stack([np.stack(np.gradient(part, 5.0)) for part in points])
        jacobian = np.linalg.det(np.moveaxis(gradients, (0, 1), (-2, -1)))
        assert np.all(np.sign(jacobian) == np.sign(jacobian.flat[0]))


def test_patients_differ_by_millimetres_not_centimetres() -> None:
    rng = np.random.default_rng(0)
    centres = np.stack([draw_anatomy(rng).atlas_points(np.zeros(1), np.zeros(1), 0.0)[:, 0, 0] for _ in range(50)])
    assert np.all((centres.std(axis=0) > 2) & (centres.std(axis=0) < 8))


@pytest.mark.parametrize(
    ("place", "tissue"),
    [
        ((-11, -18, 8), DEEP_GREY),  # thalamus
        ((27, 2, 2), DEEP_GREY),  # putamen
        ((-13, 12, 10), DEEP_GREY),  # caudate
        ((0, 26, 8), WHITE),  # genu of the corpus callosum
        ((-24, 34, 10), WHITE),
        ((-17, 6, 6), WHITE),  # internal capsule
        ((6, 10, 10), CSF),  # lateral ventricle
        ((-50, -20, 20), GREY),  # cortex
        ((0, 97, 10), AIR),
    ],
)
def test_the_atlas_has_known_anatomy_where_it_belongs(place: tuple[int, int, int], tissue: int) -> None:
    assert tissue_at(*place) == tissue


def test_outside_the_atlas_is_air() -> None:
    small = Atlas(np.full((2, 2, 2), WHITE, np.uint8), np.zeros(3, np.float32))
    x = np.float32([-0.6, -0.4, 1.4, 1.6])
    zeros = np.zeros(4, np.float32)
    assert small.tissue_at((x, zeros, zeros)).tolist() == [AIR, WHITE, WHITE, AIR]


def test_lesions_lie_in_white_matter_within_their_radius() -> None:
    lesion = np.array([[-24.0, 34.0, 10.0, 4.0]])
    across = np.arange(-60, 60, dtype=np.float32)
    with_lesion = unmoved(lesions=lesion).slab(atlas(), across, across, 10.0, np.float32([0.0]))[0]
    without = unmoved().slab(atlas(), across, across, 10.0, np.float32([0.0]))[0]
    y, x = np.meshgrid(across, across, indexing="ij")
    near = (x + 24) ** 2 + (y - 34) ** 2 < 16
    np.testing.assert_array_equal(with_lesion == LESION, near & (without == WHITE))
    assert near.sum() == (with_lesion == LESION).sum() == 45


def test_the_number_of_lesions_is_poisson_about_what_is_asked() -> None:
    rng = np.random.default_rng(0)
    counts = [len(draw_lesions(atlas(), rng, 3.0)) for _ in range(40)]
    assert 2 < np.mean(counts) < 4


def test_a_map_that_was_changed_damaged_or_lost_is_noticed(tmp_path: Path) -> None:
    content = _phantom_atlas.FILE.read_text(encoding="utf-8")
    other = atlas().labels.copy()
    other[100, 100, 40] ^= 1
    changed = json.dumps({**json.loads(content), "labels": base64.b85encode(lzma.compress(other.tobytes())).decode()})
    for text, words in (
        (changed, "not the head"),
        (content.replace("shape", "form"), "damaged"),
        (content[:9], "damaged"),
    ):
        (tmp_path / "head.json").write_text(text, encoding="utf-8")
        with pytest.raises(SourceError, match=rf"head\.json is .*{words}.*install Wardround again"):
            _phantom_atlas._read(tmp_path / "head.json")
    with pytest.raises(SourceError, match="absent"):
        _phantom_atlas._read(tmp_path / "none.json")


def test_the_map_carries_its_notice() -> None:
    notice = json.loads(_phantom_atlas.FILE.read_text(encoding="utf-8"))["notice"]
    said = " ".join((Path(__file__).parents[2] / "NOTICE").read_text(encoding="utf-8").split())
    assert notice.partition(". ")[2] in said
