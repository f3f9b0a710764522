"""What every corruption must be: drawn by a generator alone, none at severity 0, and worse the further it goes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import StudyError
from wardround.testing.laws import check_options, no_global_draw

SHAPES = ((1, 16, 18), (3, 14, 13), (1, 9, 12, 10))
SEVERITIES = (0.25, 0.5, 1.0)
SPAN = (0.0, 1.0)
SLACK = 0.05
"""Of the mean squared change, by which it may fall from one severity to the next: interpolation and folding."""
Tried = tuple[Any, tuple[tuple[int, ...], ...]]


class CorruptionTests:
    """Inherit, and bind `corruption` to one; `shape` of a case, channels first, where it is not for all of SHAPES."""

    corruption: Any
    shape: ClassVar[tuple[int, ...] | None] = None

    @pytest.fixture
    def made(self) -> Tried:
        """The corruption's options, and the shapes that it is tried on."""
        return self.corruption, (self.shape,) if self.shape else SHAPES

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Tried) -> None:
        """Engines hand it to other processes, and a page's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made[0])

    def test_at_severity_0_an_image_is_itself(self, made: Tried) -> None:
        """A curve begins at the score of the images as they are. Mend: answer `image` where severity is 0."""
        for image in images(made):
            assert np.array_equal(seen(made[0], image, 0.0), image), "severity 0 changed the image"

    def test_what_comes_is_an_image_of_the_same_form(self, made: Tried) -> None:
        """A network takes what it has learned from. Mend: keep the shape, answer float32, and no NaN."""
        for image in images(made):
            for severity in SEVERITIES:
                found = seen(made[0], image, severity)
                assert found.shape == image.shape, f"{image.shape} became {found.shape}"
                assert found.dtype == np.float32, f"it answers {found.dtype}"
                assert np.isfinite(found).all(), f"severity {severity} gave a value that is not finite"

    def test_a_higher_severity_changes_more(self, made: Tried) -> None:
        """A curve over severity means something. Mend: draw once, and let severity scale what was drawn."""
        for image in images(made):
            changes = [float(np.mean((seen(made[0], image, one) - image) ** 2)) for one in SEVERITIES]
            assert changes[-1] > 0, "at severity 1 nothing changes"
            for before, after in pairwise(changes):
                assert after >= before * (1 - SLACK), f"the mean squared change falls from {before:g} to {after:g}"

    def test_what_is_drawn_follows_from_its_generator_alone(self, made: Tried) -> None:
        """A figure can be had again. Mend: draw from `rng`, in the same order at every severity."""
        for image in images(made):
            with no_global_draw("corrupt"):
                first, second = (seen(made[0], image, 0.5) for _ in range(2))
            assert np.array_equal(first, second), "two corruptions by one seed differ"
            left = [drawn_after(made[0], image, severity) for severity in (0.0, 0.5, 1.0)]
            assert len(set(left)) == 1, "another severity draws another number of times"

    def test_it_follows_the_scale_of_the_data(self, made: Tried) -> None:
        """Images come in units of their own. Mend: take black and white from `span`."""
        for image in images(made):
            scaled, span = (100 + 50 * image).astype(np.float32), (100.0, 150.0)
            found = made[0].corrupt(scaled, 0.5, span, np.random.default_rng(3))
            wanted = 100 + 50 * seen(made[0], image, 0.5)
            assert np.allclose(found, wanted, atol=0.02), "50 times brighter images are corrupted otherwise"

    def test_it_leaves_the_image_that_it_was_given(self, made: Tried) -> None:
        """The same case is corrupted again and again. Mend: no operation in place."""
        for image in images(made):
            before = image.copy()
            seen(made[0], image, 1.0)
            assert np.array_equal(image, before), "it changed the image in place"

    def test_where_anatomy_moves_the_truth_moves_with_it(self, made: Tried) -> None:
        """Else an outline is held against a place that the organ has left. Mend: read image and labels at the same
        places, drawn from `rng` alike."""
        if not hasattr(made[0], "moved"):
            return
        for image in images(made):
            labels = (image[0] > 0.5).astype(np.int64)
            found = made[0].moved(labels, 1.0, np.random.default_rng(3))
            again = seen(made[0], np.repeat(labels[None].astype(np.float32), len(image), 0), 1.0)[0]
            assert found.shape == labels.shape and found.dtype == np.int64, (
                "labels come back as int64, of their shape"
            )
            assert np.mean(found == (again > 0.5)) > 0.95, "labels lie elsewhere than the image"
            still = made[0].moved(labels, 0.0, np.random.default_rng(3))
            assert np.array_equal(still, labels), "severity 0 moved the truth"


def images(made: Tried) -> list[NDArray[np.float32]]:
    """Smooth blobs on black, which a corruption of any kind changes. Raises AssertionError where none is taken."""
    corruption, shapes = made
    found, refused = [], []
    for shape in shapes:
        image = blobs(shape)
        try:
            seen(corruption, image, 0.5)
        except StudyError as error:
            refused.append(f"{shape}: {error}")
        else:
            found.append(image)
    assert found, "none of these shapes is taken: " + "; ".join(refused)
    return found


def blobs(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(C, *S) from 0 to 1: two round blobs with soft edges, brighter in every further channel."""
    grids = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape[1:]), indexing="ij")
    far = [sum((grid - middle) ** 2 for grid in grids) for middle in (-0.3, 0.35)]
    image = np.clip(np.exp(-8 * np.asarray(far[0])) + 0.7 * np.exp(-12 * np.asarray(far[1])), 0, 1)
    return np.stack([image * (1 + channel) / shape[0] for channel in range(shape[0])]).astype(np.float32)


def seen(corruption: Any, image: NDArray[np.float32], severity: float) -> NDArray[np.float32]:
    """By one seed."""
    found: NDArray[np.float32] = corruption.corrupt(image, severity, SPAN, np.random.default_rng(3))
    return found


def drawn_after(corruption: Any, image: NDArray[np.float32], severity: float) -> float:
    """The generator's next number: it tells how often it was asked."""
    rng = np.random.default_rng(3)
    corruption.corrupt(image, severity, SPAN, rng)
    return float(rng.random())
