"""Labels carried over from atlases."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.data.geometry import Geometry
from common.data.image import Image, read_image, read_labels
from common.errors import ImageError
from common.metrics.agreement import majority_vote
from common.metrics.counts import Counts, f_beta
from common.segmentation.atlases import Atlas, segment
from common.segmentation.fusion import joint_vote, locally_weighted_vote


def test_the_atlas_that_looks_like_the_target_decides() -> None:
    target = np.zeros((4, 12))
    target[:, 6:] = 1
    like_on_the_left, like_on_the_right = target.copy(), target.copy()
    like_on_the_left[:, 9:], like_on_the_right[:, :3] = 0, 1
    labels = [np.full((4, 12), 1), np.full((4, 12), 2)]
    fused = locally_weighted_vote(labels, [like_on_the_left, like_on_the_right], target, radius_voxels=0)
    assert (fused[:, :3] == 1).all()
    assert (fused[:, 9:] == 2).all()


def test_equal_atlases_give_their_label_back_whatever_the_weights() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (6, 7))
    images = [rng.normal(size=(6, 7)) for _ in range(3)]
    np.testing.assert_array_equal(locally_weighted_vote([labels] * 3, images, images[0]), labels)


def test_two_atlases_with_one_error_do_not_outvote_one_without_it() -> None:
    """A majority takes 2; the matrix of joint errors makes the two count as one."""
    rng = np.random.default_rng(2)
    target = rng.normal(size=(9, 9))
    wrong = target + 0.8 * rng.normal(size=(9, 9))
    right = target + 0.4 * rng.normal(size=(9, 9))
    labels = [np.full((9, 9), 2), np.full((9, 9), 2), np.full((9, 9), 1)]
    images = [wrong, wrong, 3 * right - 7]
    assert (joint_vote(labels, images, target) == 1).mean() > 0.95
    assert (majority_vote(labels) == 2).all()


def test_joint_weights_are_those_of_the_formula_at_the_middle_of_a_patch() -> None:
    """By hand, where the patch is the whole image, so that both ways of scaling are one; the middle is disputed."""
    rng = np.random.default_rng(5)
    outcomes = set()
    for _ in range(12):
        target, *images = ((one - one.mean()) / one.std() for one in rng.normal(size=(4, 3, 3)))
        labels = [np.zeros((3, 3), int) for _ in images]
        labels[1][1, 1] = labels[2][1, 1] = 4
        apart = [np.abs(target - image) for image in images]
        matrix = np.array([[2 * np.mean(one * two) for two in apart] for one in apart]) ** 2 + 0.03 * np.eye(3)
        weights = np.linalg.inv(matrix) @ np.ones(3) / np.linalg.inv(matrix).sum()
        wanted = 0 if weights[0] > weights[1:].sum() else 4
        assert joint_vote(labels, images, target, radius_voxels=1, voting_radius=0)[1, 1] == wanted
        outcomes.add(wanted)
    assert outcomes == {0, 4}


def blob(centre: tuple[float, float], seed: int) -> Atlas:
    y, x = np.indices((48, 48))
    inside = ((y - centre[0]) / 9) ** 2 + ((x - centre[1]) / 12) ** 2 < 1
    texture = gaussian_filter(np.random.default_rng(seed).normal(size=(48, 48)), 2)
    geometry = Geometry.of((48, 48), (1.5, 1.5))
    image = gaussian_filter(inside.astype(np.float64), 1) * 3 + 0.3 * texture
    return Atlas(Image(image, geometry), Image(inside.astype(np.int64), geometry))


def test_a_structure_elsewhere_is_found_by_registration() -> None:
    """By the default; what tells the ways of voting apart is shown by hand above."""
    target = blob((24, 24), 0)
    atlases = [blob((20, 27), 1), blob((27, 21), 2)]
    found = segment(target.image, atlases)
    before, after = (
        float(f_beta(Counts.of(target.labels.values, labels, [1]))[0])
        for labels in (atlases[0].labels.values, found.values)
    )
    assert before < 0.8
    assert after > 0.93


def test_what_does_not_fit_is_refused() -> None:
    atlas = blob((24, 24), 0)
    with pytest.raises(ImageError, match="one atlas at least"):
        segment(atlas.image, [])
    with pytest.raises(ImageError, match="same place"):
        Atlas(atlas.image, Image(atlas.labels.values, Geometry.of((48, 48))))
    with pytest.raises(ImageError, match="each atlas needs"):
        locally_weighted_vote([np.ones((2, 2), int)], [], np.ones((2, 2)))


@pytest.mark.skipif(not os.environ.get("WARDROUND_DRILLS"), reason="a drill: set WARDROUND_DRILLS=1")
def test_hippocampi_are_outlined_by_three_others(shared_data: Path) -> None:
    folder = shared_data / "hippocampus"
    names = sorted(path.name for path in (folder / "images").glob("*.nii.gz"))[:4]
    read = [Atlas(read_image(folder / "images" / n), read_labels(folder / "labels" / n)) for n in names]
    target, *atlases = [Atlas(Image(_scaled(a.image.values), a.image.geometry), a.labels) for a in read]
    found = segment(target.image, atlases)
    dice = f_beta(Counts.of(target.labels.values > 0, found.values > 0, [1]))[0]
    assert dice > 0.7


def _scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()
