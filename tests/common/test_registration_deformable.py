"""Deformations: none folds, the world's scale does not matter, and what is no better than its start is dropped."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError, StudyError
from common.registration import deformation
from common.registration.displacement import DisplacementField
from common.registration.evaluation import label_dice, negative_jacobian_share, target_registration_error_mm
from common.registration.folding import folded, mended_velocity, unfolded
from common.registration.landmarks import Landmarks
from common.registration.linear import Linear
from common.registration.objective import Pair
from common.registration.record import Registration
from common.registration.register import register
from common.registration.sampling import lattice_points, resample
from common.registration.transform import Transform, jacobian_determinants
from common.registration.used import Used
from common.registration.warping import Lattice
from common.registration.working_levels import working_levels

FLAT = Geometry.of((48, 40), (1.0, 1.25), (-20, -30))
KINDS = ("displacement", "velocity", "bspline")


def smooth(seed: int, shape: tuple[int, ...], sigma: float, largest: float) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(len(shape), *shape))
    field = np.stack([gaussian_filter(part, sigma) for part in noise])
    return np.asarray(largest * field / np.abs(field).max())


@cache
def texture(geometry: Geometry = FLAT) -> Image:
    noise = np.random.default_rng(3).normal(size=geometry.shape)
    values = gaussian_filter(noise, 3) / 0.1 + gaussian_filter(noise[::-1], 1.2) / 0.6
    return Image(values.astype(np.float32), geometry)


@cache
def bent() -> tuple[Image, Transform]:
    """The texture moved so that its registration is the transform."""
    true = DisplacementField(torch.from_numpy(smooth(5, FLAT.shape, 7, 3.0)), FLAT)
    return resample(texture(), FLAT, true.inverse()), true


def in_another_world(image: Image, factor: float) -> Image:
    affine = image.geometry.affine.copy()
    affine[:-1] *= factor
    return Image(image.values, Geometry(image.geometry.shape, affine))


def plain(kind: str, **options: object) -> Registration:
    return register(bent()[0], texture(), kind, "ssd", before="none", **options)  # type: ignore[arg-type]


@cache
def plainest(kind: str) -> Registration:
    """Without any option; several tests set something beside it."""
    return plain(kind)


def inner_error_mm(found: Transform, true: Transform) -> float:
    points = lattice_points(FLAT)[8:-8, 8:-8]
    return float((found.map_points(points) - true.map_points(points)).norm(dim=-1).mean())


@pytest.mark.parametrize(("kind", "factor"), [("displacement", 0.01), ("velocity", 100.0), ("bspline", 0.01)])
def test_scaling_the_world_scales_the_answer(kind: str, factor: float) -> None:
    points = lattice_points(FLAT)
    here = plainest(kind).transform.map_points(points)
    moving, fixed = (in_another_world(image, factor) for image in (bent()[0], texture()))
    there = register(moving, fixed, kind, "ssd", before="none")
    torch.testing.assert_close(there.transform.map_points(factor * points) / factor, here, atol=0.02, rtol=0)
    assert there.negative_jacobian == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_deformed_onto_itself_stays_without_a_doubt(kind: str) -> None:
    found = register(texture(), texture(), kind, "local_cc", before="none")
    points = lattice_points(FLAT)
    assert float((found.transform.map_points(points) - points).norm(dim=-1).max()) < 0.1
    assert found.doubts == ()


@pytest.mark.parametrize(
    ("kind", "similarity", "regulariser"),
    [("displacement", "mi", "gaussian"), ("displacement", "cc", "gaussian"), ("velocity", "mind", "gaussian"),
     ("displacement", "ssd", "tv"), ("velocity", "ssd", "elastic"), ("bspline", "mind", "gaussian")],
)  # fmt: skip
def test_every_measure_and_model_recovers_a_known_deformation(kind: str, similarity: str, regulariser: str) -> None:
    moving, true = bent()
    other = Image(np.exp(-0.4 * moving.values), FLAT) if similarity != "ssd" else moving
    found = register(other, texture(), kind, similarity, before="none", regulariser=regulariser)
    still = inner_error_mm(Linear.identity(2), true)
    assert inner_error_mm(found.transform, true) < 0.4 * still
    named = {"cc": "local_cc"}
    assert found.stages[-1].kind == f"{kind}, {named.get(similarity, similarity)}"
    assert found.negative_jacobian == 0


@given(st.integers(0, 2**32 - 1), st.sampled_from([(14, 12), (9, 8, 7)]), st.floats(2, 12))
@settings(max_examples=15)
def test_no_deformation_however_strong_folds_once_it_is_mended(
    seed: int, shape: tuple[int, ...], size: float
) -> None:
    field = torch.from_numpy(smooth(seed, shape, 1.0, size)).float()
    mended = unfolded(field)
    geometry = Geometry.of(shape)
    found = DisplacementField(mended.double(), geometry)
    assert negative_jacobian_share(found, geometry) == 0
    points = lattice_points(geometry).reshape(-1, len(shape))
    aside = points + 0.4 * torch.sign(points - points.mean(0))
    assert jacobian_determinants(found, aside, 1e-3).min() > -0.01
    lattice = Lattice(shape)

    def flow(velocity: torch.Tensor) -> torch.Tensor:
        moved = velocity / 64
        for _ in range(6):
            moved = lattice.composed(moved, moved)
        return moved

    assert not folded(flow(mended_velocity(field, flow))).any()


def test_what_does_not_fold_is_not_mended() -> None:
    field = torch.from_numpy(smooth(1, (16, 14), 4.0, 2.0)).float()
    assert torch.equal(unfolded(field), field)


def test_a_fold_is_seen_between_two_voxels_and_mended_there_only() -> None:
    field = torch.zeros(2, 40, 5)
    field[0, 10] = -2.5
    assert folded(field)[9:12].any()
    assert not folded(field)[14:].any()
    assert torch.equal(unfolded(field)[:, 30:], field[:, 30:])


@pytest.mark.parametrize("kind", KINDS)
def test_registrations_that_want_to_fold_do_not(kind: str) -> None:
    """Noise onto noise, soft, many iterations."""
    rng = np.random.default_rng(0)
    one, two = (Image(gaussian_filter(rng.normal(size=(32, 30)), 1.0), Geometry.of((32, 30))) for _ in range(2))
    found = register(one, two, kind, "ssd", before="none", smoothness=0.3, iterations=30, step=2.0)
    assert found.negative_jacobian == 0
    assert negative_jacobian_share(found.transform, two.geometry) == 0
    there = found.transform.map_points(lattice_points(two.geometry))
    again = found.transform.map_points(found.transform.inverse().map_points(there))
    assert float((again - there).norm(dim=-1).max()) < (0.1 if kind == "velocity" else 2e-3)


def test_more_smoothness_bends_less() -> None:
    def slopes(found: Registration) -> float:
        there = found.transform.map_points(lattice_points(FLAT))
        return float((there - lattice_points(FLAT)).diff(dim=0).square().mean())

    assert slopes(plain("displacement", smoothness=5.0)) < 0.7 * slopes(plainest("displacement"))


def test_a_deformation_goes_on_from_another() -> None:
    first = plain("displacement", iterations=1, levels=1, smoothness=5.0)
    second = register(bent()[0], texture(), "displacement", "ssd", initial=first.transform)
    assert inner_error_mm(second.transform, bent()[1]) < 0.8 * inner_error_mm(first.transform, bent()[1])
    points = lattice_points(FLAT)
    back = second.transform.inverse().map_points(second.transform.map_points(points))
    assert float((back - points).norm(dim=-1).max()) < 5e-3
    with pytest.raises(ImageError, match="is a deformation"):
        register(bent()[0], texture(), "affine", initial=first.transform)


@pytest.mark.parametrize("kind", KINDS)
def test_landmarks_draw_and_those_of_no_weight_do_nothing(kind: str) -> None:
    fixed = np.array([[0.0, -10.0], [5.0, 5.0], [12.0, -8.0]])
    moving = fixed + np.array([2.5, -2.0])
    without = plainest(kind)
    drawn = plain(kind, landmarks=Landmarks(fixed, moving, 20.0))
    none = plain(kind, landmarks=Landmarks(fixed, moving, 0.0))
    points = lattice_points(FLAT)
    assert torch.equal(none.transform.map_points(points), without.transform.map_points(points))
    before, after = (target_registration_error_mm(one.transform, fixed, moving) for one in (without, drawn))
    assert after.mean() < 0.4 * before.mean()
    assert drawn.negative_jacobian == 0
    with pytest.raises(ImageError, match="3 of 4 landmarks were a term"):
        target_registration_error_mm(drawn.transform, [*fixed, [1, 1]], [*moving, [1, 1]], drawn.used)
    assert target_registration_error_mm(drawn.transform, [[1, 1]], [[1, 1]], drawn.used).shape == (1,)


def test_labels_that_were_registered_are_no_judges() -> None:
    labels = Image((texture().values > 0).astype(np.int64), FLAT)
    used = Used("ssd", None, (labels,))
    with pytest.raises(ImageError, match="overlap says nothing"):
        label_dice(Linear.identity(2), labels, labels, used=used)
    with pytest.raises(ImageError, match="'ssd'"):
        used.check_similarity("ssd")
    used.check_similarity("cc")


def test_a_deformation_that_fits_no_better_is_dropped_and_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is doubted too where it began from a place that is doubtful itself."""
    start = Linear.of(np.eye(2), [0.3, 0.0])
    for size, dropped in ((0.0, False), (6.0, True)):
        bad = DisplacementField(torch.from_numpy(smooth(1, FLAT.shape, 6, 1.0) * size), FLAT)
        monkeypatch.setattr(deformation, "register_dense", lambda *_, bad=bad, **__: (bad, []))
        found = register(texture(), texture(), "displacement", "ssd", initial=start)
        assert isinstance(found.transform, Linear) is dropped
        assert (deformation.NO_BETTER in found.notes) is dropped
        assert found.doubts == ()
    noise = Image(np.random.default_rng(0).normal(size=FLAT.shape), FLAT)
    lost = register(noise, texture(), "displacement", "ssd", initial=start)
    assert deformation.NO_BETTER in lost.doubts
    assert lost.notes == ()


@pytest.mark.parametrize(("kind", "similarity"), [("displacement", "mi"), ("bspline", "mind"), ("rigid", "cc")])
def test_channels_that_each_show_a_half_find_the_whole_together(kind: str, similarity: str) -> None:
    rng, true = np.random.default_rng(0), bent()[1]
    if kind == "rigid":
        true = Linear.of([[0.995, -0.0998], [0.0998, 0.995]], [1.5, -2.0])
    halves = np.arange(FLAT.shape[0])[:, None] < 24

    def noisy(image: Image) -> Image:
        return Image((image.values + 0.02 * rng.normal(size=FLAT.shape)).astype(np.float32), FLAT)

    shown = [Image(texture().values * kept, FLAT) for kept in (halves, ~halves)]
    first, second = ((noisy(resample(one, FLAT, true.inverse())), noisy(one)) for one in shown)
    alone, both = (register(*first, kind, similarity, before="none", also=also) for also in ((), [second]))
    still = inner_error_mm(Linear.identity(2), true)
    assert inner_error_mm(both.transform, true) < 0.7 * min(still, inner_error_mm(alone.transform, true))
    with pytest.raises(ImageError, match="channel 2 of the fixed image must lie on the lattice"):
        register(*first, kind, also=[(second[0], in_another_world(second[1], 2.0))])


@pytest.mark.parametrize(("kind", "similarity"), [("displacement", "ssd"), ("bspline", "local_cc")])
def test_what_is_masked_away_of_the_moving_image_draws_nothing_wherever_it_is_moved(
    kind: str, similarity: str
) -> None:
    """A marker of twice the brightest value; its leaking into coarse images alone spoils all of it."""
    moving, true = bent()
    marked, kept = moving.values.copy(), np.ones(FLAT.shape, np.uint8)
    marked[18:28, 8:30], kept[18:28, 8:30] = 2 * marked.max(), 0
    found, without = (
        register(Image(marked, FLAT), texture(), kind, similarity, before="none", moving_mask=mask)
        for mask in (Image(kept, FLAT), None)
    )
    still = inner_error_mm(Linear.identity(2), true)
    assert inner_error_mm(found.transform, true) < 0.35 * still
    assert inner_error_mm(without.transform, true) > 0.9 * still


def test_large_images_are_searched_at_levels_that_they_can_use() -> None:
    large = Image(np.random.default_rng(0).normal(size=(1164, 787)).astype(np.float32), Geometry.of((1164, 787)))
    shapes = [pair.fixed.geometry.shape for pair in working_levels([Pair(large, large)], None)]
    assert len(shapes) == 4
    assert max(shapes[-1]) <= 400
    assert max(shapes[0]) < 60


@pytest.mark.parametrize(
    ("kind", "regulariser"),
    [("displacement", "gaussian"), ("velocity", "elastic"), ("displacement", "tv"), ("bspline", "gaussian")],
)
def test_a_lone_slice_is_deformed_as_the_image_that_it_is(kind: str, regulariser: str) -> None:
    geometry = Geometry.of((*FLAT.shape, 1), (1.0, 1.25, 3.0))
    moving, fixed = (Image(image.values[..., None], geometry) for image in (bent()[0], texture()))
    found = register(moving, fixed, kind, "ssd", before="none", regulariser=regulariser, iterations=4)
    before = np.abs(moving.values - fixed.values)[8:-8, 8:-8].mean()
    assert np.abs(found.image.values - fixed.values)[8:-8, 8:-8].mean() < 0.5 * before
    assert found.negative_jacobian == 0


def test_what_cannot_be_is_refused_before_any_work() -> None:
    for options, said in (
        ({"smoothness": 0.0}, "smoothness must lie between"),
        ({"step": 9.0}, "step must lie between"),
        ({"iterations": (3, 0)}, "iterations must be whole numbers"),
        ({"iterations": 2.5}, "iterations must be whole numbers"),
        ({"iterations": ()}, "one number at least"),
        ({"spacing_mm": -1.0}, "spacing_mm"),
        ({"regulariser": "elastik"}, "did you mean 'elastic'"),
    ):
        with pytest.raises(StudyError, match=said):
            plain("displacement", **options)
    with pytest.raises(StudyError, match="does not go with transform 'bspline'"):
        plain("bspline", regulariser="tv")
    with pytest.raises(StudyError, match="it cannot follow CorrelationRatio"):
        register(texture(), texture(), "velocity", "cr", before="none")
    with pytest.raises(ImageError, match="equally long"):
        Landmarks([[0, 0]], [[0, 0], [1, 1]])
    with pytest.raises(ImageError, match="landmarks have 3 dimensions"):
        plain("displacement", landmarks=Landmarks([[0, 0, 0]], [[0, 0, 0]]))
    with pytest.raises(StudyError, match="deformations' cost only"):
        register(texture(), texture(), "rigid", landmarks=Landmarks([[0, 0]], [[0, 0]]))
