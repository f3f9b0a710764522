"""Every corruption of ours passes the tests that anybody's inherits, and does what its model says."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from common.corruptions.artefacts.morphology import Morphology
from common.corruptions.artefacts.partial_volume import averaged
from common.corruptions.corruption import Corruption
from common.errors import StudyError
from common.study.catalogue import CORRUPTIONS
from common.study.options import Entry
from wardround.testing import CorruptionTests
from wardround.testing.corruptions import SHAPES, Tried, blobs

SPAN = (0.0, 1.0)


def made(name: str, **options: object) -> Corruption:
    return cast(Corruption, CORRUPTIONS.build(Entry(name, options)))


def corrupted(name: str, image: NDArray[np.float32], severity: float = 1.0, **options: object) -> NDArray[np.float32]:
    return made(name, **options).corrupt(image, severity, SPAN, np.random.default_rng(1))


class TestOurs(CorruptionTests):
    @pytest.fixture(params=CORRUPTIONS.names())
    def made(self, request: pytest.FixtureRequest) -> Tried:
        return CORRUPTIONS.build(Entry(request.param)), SHAPES


class TestMagnitudes(CorruptionTests):
    @pytest.fixture
    def made(self) -> Tried:
        return CORRUPTIONS.build(Entry("noise", {"magnitude": True})), SHAPES


def test_noise_has_the_deviation_that_is_asked_for_and_that_of_a_magnitude_never_lies_below_black() -> None:
    black = np.zeros((1, 200, 200), np.float32)
    assert corrupted("noise", black, 0.5, deviation=0.2).std() == pytest.approx(0.1, rel=0.02)
    rician = corrupted("noise", black, 0.5, deviation=0.2, magnitude=True)
    assert rician.min() >= 0
    assert rician.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.02)  # Rayleigh's mean


def test_contrast_keeps_black_white_and_order_and_bends_a_half_by_its_exponent() -> None:
    ramp = np.linspace(-0.2, 1.2, 15, dtype=np.float32).reshape(1, 1, 15)
    seen = corrupted("contrast", ramp, gamma=3.0)
    assert (np.diff(seen) >= 0).all()
    assert np.allclose(seen[(ramp <= 0) | (ramp >= 1)], ramp[(ramp <= 0) | (ramp >= 1)])
    half = float(corrupted("contrast", np.full((1, 1, 1), 0.5, np.float32), gamma=3.0)[0, 0, 0])
    assert half in (pytest.approx(0.5**3), pytest.approx(0.5 ** (1 / 3)))


def test_a_thick_slice_is_the_mean_over_its_thickness() -> None:
    edge = np.repeat(np.array([0.0] * 5 + [1.0] * 5, np.float32)[None, :, None], 3, axis=2)
    assert np.allclose(averaged(edge, 1.0, 1), edge)
    assert averaged(edge, 3.0, 1)[0, :, 0] == pytest.approx([0, 0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1, 1])
    assert averaged(edge, 2.0, 1)[0, :, 0] == pytest.approx([0, 0, 0, 0, 0.25, 0.75, 1, 1, 1, 1])


def test_slices_of_a_volume_are_thick_and_coarse_along_their_own_axis_alone() -> None:
    along = np.repeat(np.arange(12, dtype=np.float32)[None, :, None, None] % 2, 8, 2)[:, :, :, [0] * 8]
    across = np.moveaxis(along, 1, 2)[:, :8]
    for name in ("partial_volume", "anisotropy"):
        assert np.abs(corrupted(name, along) - along).max() > 0.3
        assert np.allclose(corrupted(name, across), across, atol=1e-6)


def test_a_linear_ramp_survives_a_coarse_axis_but_for_its_ends() -> None:
    ramp = np.repeat(np.linspace(0, 1, 30, dtype=np.float32)[None, :, None, None], 6, 2)[..., [0] * 6]
    assert np.allclose(corrupted("anisotropy", ramp, factor=3.0)[:, 4:-4], ramp[:, 4:-4], atol=1e-6)


def test_motion_by_whole_pixels_in_all_of_k_space_but_its_middle_moves_edges() -> None:
    image = blobs((1, 32, 32))
    seen = corrupted("motion", image)
    assert seen.mean() == pytest.approx(float(image.mean()), rel=0.3)  # the middle of k-space stays
    assert np.abs(seen - image).max() > 0.05
    still = corrupted("motion", image, shift_pixels=0.0)
    assert np.allclose(still, image, atol=1e-6)


def test_ghosts_lie_where_the_image_does_shifted_by_a_share_of_the_rows() -> None:
    point = np.zeros((1, 16, 8), np.float32)
    point[0, 3, 2] = 1.0
    seen = corrupted("ghosting", point, strength=1.0, ghosts=4)[0, :, 2]
    assert np.flatnonzero(seen > 0.01).tolist() == [3, 7, 15]  # the cosine of period 4: 16 / 4 rows up and down
    assert seen[[3, 7, 15]] == pytest.approx([0.5, 0.25, 0.25], abs=1e-6)


def test_metal_is_bright_and_its_streaks_are_brighter_and_darker_than_before() -> None:
    image = np.full((1, 40, 40), 0.5, np.float32)
    change = corrupted("metal", image)[0] - 0.5
    assert change.max() > 1 and change.min() < -0.05
    assert np.abs(np.delete(change, np.argmax(change))).mean() > 1e-3
    assert np.allclose(corrupted("metal", image, radius=0.0), image)


def test_nothing_is_seen_beside_metal_in_an_mr_image_and_its_rim_is_brighter() -> None:
    image = np.full((1, 48, 48), 0.5, np.float32)
    seen = corrupted("void", image)
    assert seen.min() < 0.05 and seen.max() > 0.7
    assert np.median(seen) == pytest.approx(0.5)


def test_labels_and_image_bend_alike_and_no_further_than_is_said() -> None:
    labels = np.zeros((40, 40), np.int64)
    labels[12:28, 12:28] = 1
    bent = Morphology(shift=0.1)
    moved = bent.moved(labels, 1.0, np.random.default_rng(1))
    assert 0 < np.count_nonzero(moved != labels) < 300
    assert not moved[:7].any() and not moved[-7:].any()  # 12 less a tenth of 40, rounded
    assert bent.moved(labels, 0.0, np.random.default_rng(1)).tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("noise", {"deviation": 0}),
        ("contrast", {"gamma": 0.5}),
        ("ghosting", {"ghosts": 1}),
        ("blur", {"sigma_pixels": -1}),
    ],
)
def test_an_option_without_sense_is_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(StudyError, match=next(iter(options))):
        made(name, **options)


def test_an_unknown_one_is_answered_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="'motion'"):
        made("motoin")


def test_motion_while_a_point_is_exposed_draws_a_line_as_long_as_the_path_with_the_point_in_its_middle() -> None:
    point = np.zeros((1, 41, 41), np.float32)
    point[0, 20, 20] = 1.0
    seen = corrupted("motion_blur", point, length_pixels=12.0)[0].astype(np.float64)
    assert seen.sum() == pytest.approx(1.0)
    rows, columns = (axis - 20 for axis in np.indices(seen.shape))
    assert (seen * rows).sum() == pytest.approx(0, abs=1e-6) and (seen * columns).sum() == pytest.approx(0, abs=1e-6)
    spread = np.array([[(seen * a * b).sum() for a in (rows, columns)] for b in (rows, columns)])
    across, along = np.linalg.eigvalsh(spread)
    assert along == pytest.approx(12.0**2 / 12, rel=0.15), "of a path with the same share everywhere"
    assert across < 0.3, "no more than places between pixels need"
