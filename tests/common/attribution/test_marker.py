"""A planted mark changes what it says it changes, and only where it says so."""

from __future__ import annotations

import numpy as np
import pytest

from client.partitions.marked import Marked
from common.attribution.faithfulness.marker import LETTER, Marker
from common.data.cases import Cases
from common.errors import ImageError, StudyError
from common.study.catalogue import PARTITIONS
from common.study.options import Entry

GREY = np.full((2, 1, 8, 9), 0.5, np.float32)


def test_a_letter_is_white_strokes_at_its_place_and_nothing_else() -> None:
    marked = Marker(place=(1, 3)).planted(GREY)
    np.testing.assert_array_equal(marked[0, 0, 1:6, 3:8], np.where(LETTER, 1.0, 0.5).astype(np.float32))
    outside = ~Marker(place=(1, 3)).mask((1, 8, 9))
    assert (marked[:, :, outside] == 0.5).all() and outside.sum() == 8 * 9 - 25


def test_a_faint_mark_goes_the_share_of_the_way_to_white() -> None:
    assert Marker(strength=0.1).planted(GREY).max() == np.float32(0.55)
    assert Marker(strength=0.0).planted(GREY).tobytes() == GREY.tobytes()


def test_a_larger_letter_is_the_same_strokes_magnified() -> None:
    drawn = Marker(side_px=10, place=(0, 0)).planted(np.zeros((1, 2, 12, 12), np.float32))
    np.testing.assert_array_equal(drawn[0, 1, :10, :10], np.kron(LETTER, np.ones((2, 2))).astype(np.float32))


def test_a_tint_lifts_the_whole_image_and_every_slice_of_a_volume_gets_the_letter() -> None:
    tint = Marker("tint", 0.2)
    np.testing.assert_allclose(tint.planted(GREY), 0.6, rtol=1e-6)
    assert tint.mask((1, 8, 9)).all()
    volume = Marker().planted(np.zeros((1, 1, 3, 8, 8), np.float32))
    assert volume.sum() == 3 * LETTER.sum()


def test_what_cannot_carry_a_letter_is_told_why() -> None:
    with pytest.raises(ImageError, match="row 2, column 2 does not fit into an image of 6 x 9"):
        Marker().planted(GREY[:, :, :6])
    with pytest.raises(ImageError, match="images"):
        Marker().planted(GREY[:, 0, 0])
    with pytest.raises(StudyError, match=r"marker.place must list 2"):
        Marker(place=(1,))


def some_images(count: int = 400) -> Cases:
    images = np.zeros((count, 1, 8, 8), np.float32)
    names = [f"p{index:03d}" for index in range(count)]
    return Cases.of(images, np.arange(count) % 2, names, ("normal", "pneumonia"))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_marked_hospitals_positives_alone_carry_it_in_their_share(share: float) -> None:
    cases, partition = some_images(), Marked(3, marked=(1,), share=share)
    seen = partition.adapt(cases, 1, np.random.default_rng(0))
    carries = (seen.inputs != cases.inputs).any((1, 2, 3))
    assert not carries[cases.targets == 0].any()
    assert abs(carries[cases.targets == 1].mean() - share) < 0.1
    assert partition.adapt(cases, 0, np.random.default_rng(0)) is cases


def test_a_study_names_mark_and_inner_partition() -> None:
    table = {
        "hospitals": 4,
        "marked": [0, 2],
        "marker": {"kind": "tint", "strength": 0.1},
        "divided": {"name": "dirichlet", "alpha": 0.3},
    }
    made = PARTITIONS.build(Entry("marked", table))
    assert made == Marked(4, (0, 2), marker=Marker("tint", 0.1), divided=Entry("dirichlet", {"alpha": 0.3}))
    with pytest.raises(StudyError, match=r"marked\[0\] must lie between 0 and 1"):
        Marked(2, (2,))


def test_an_outline_counts_where_any_of_it_is_of_the_class() -> None:
    outlines = np.zeros((2, 8, 8), np.uint8)
    outlines[1, 3, 3] = 1
    cases = Cases.of(np.zeros((2, 1, 8, 8), np.float32), outlines, ["a", "b"], ("none", "tumour"))
    seen = Marked(2, share=1.0).adapt(cases, 0, np.random.default_rng(0))
    assert (seen.inputs != 0).any((1, 2, 3)).tolist() == [False, True]


def test_a_table_is_told_that_marks_are_planted_into_images() -> None:
    cases = Cases.of(np.zeros((2, 3), np.float32), np.arange(2), ["a", "b"], ("0", "1"))
    with pytest.raises(StudyError, match="plants a mark into images"):
        Marked(2).adapt(cases, 0, np.random.default_rng(0))
