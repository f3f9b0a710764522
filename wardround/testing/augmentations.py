"""What every augmentation must be: drawn by a generator alone, then applied to many images as to one."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import StudyError
from common.selfsupervision.augmentation import Augmentation
from wardround.testing.laws import check_options, no_global_draw

SHAPES = ((1, 12, 10), (3, 12, 12), (2, 8, 10, 9), (1, 24))
COUNT = 5
Tried = tuple[Any, tuple[int, ...]]


class AugmentationTests:
    """Inherit, and bind `augmentation` to one; `shape` of a case, channels first, where none of SHAPES fits it."""

    augmentation: Augmentation
    shape: ClassVar[tuple[int, ...] | None] = None

    @pytest.fixture
    def made(self) -> Tried:
        """The augmentation's options, and a shape for it."""
        return self.augmentation, self.shape or fitting_shape(self.augmentation)

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Tried) -> None:
        """Engines hand it to other processes, and a study's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made[0])

    def test_what_is_drawn_follows_from_its_generator_alone(self, made: Tried) -> None:
        """The same study trains the same model, and one hospital's draws are no other's. Mend: draw from `rng`."""
        augmentation, shape = made
        with no_global_draw("draw"):
            first, second = (augmentation.draw(np.random.default_rng(7), shape) for _ in range(2))
        assert np.array_equal(first, second), "two draws from one seed differ"
        rows = [augmentation.draw(np.random.default_rng(seed), shape) for seed in range(20)]
        assert len({row.shape for row in rows}) == 1 and rows[0].ndim == 1, "a draw is one row, always as long"
        assert all(row.dtype == np.float32 and np.isfinite(row).all() for row in rows), "draws are finite float32"

    def test_a_case_is_shown_alone_as_it_is_among_others(self, made: Tried) -> None:
        """Private training shows cases one by one, and one patient's view must not tell of another. Mend: compute
        each view from its own image and its own row of what was drawn."""
        augmentation, shape = made
        images, drawn = inputs(shape), draws(made)
        together = augmentation.apply(images, drawn, shape[1:])
        alone = [augmentation.apply(images[i : i + 1], drawn[i : i + 1], shape[1:]) for i in range(COUNT)]
        torch.testing.assert_close(
            together, torch.cat(alone), msg=lambda text: f"a view depends on the other cases: {text}"
        )

    def test_views_follow_from_what_was_drawn(self, made: Tried) -> None:
        """A view is made twice: in a step, and where it is replayed. Mend: draw everything in `draw`, noise too."""
        augmentation, shape = made
        images, drawn = inputs(shape), draws(made)
        with no_global_draw("apply"):
            first, second = (augmentation.apply(images, drawn, shape[1:]) for _ in range(2))
        assert torch.equal(first, second), "two views of one draw differ"

    def test_views_have_the_shape_that_is_asked_for_and_the_images_precision(self, made: Tried) -> None:
        """Scores are computed in float64, and a local crop is smaller than an image. Mend: answer (N, C, *size) in
        `images.dtype`."""
        augmentation, shape = made
        for dtype in (torch.float32, torch.float64):
            for size in (shape[1:], tuple((side + 1) // 2 for side in shape[1:])):
                views = augmentation.apply(inputs(shape).to(dtype), draws(made), size)
                assert views.shape == (COUNT, shape[0], *size), f"size {size} gave shape {tuple(views.shape)}"
                assert views.dtype == dtype, f"images in {dtype} gave views in {views.dtype}"

    def test_views_can_be_differentiated_by_the_images(self, made: Tried) -> None:
        """The audit searches images behind an update. Mend: compute with torch alone; no numpy, no round()."""
        augmentation, shape = made
        images = inputs(shape).requires_grad_()
        views = augmentation.apply(images, draws(made), shape[1:])
        assert views.requires_grad, "no gradient flows from the views to the images"
        views.square().sum().backward()
        assert images.grad is not None and torch.isfinite(images.grad).all(), "the gradient is not finite"
        assert bool((images.grad != 0).any()), "the views do not depend on the images"

    def test_flat_huge_and_faint_images_give_finite_views(self, made: Tried) -> None:
        """One view that is not finite ends a hospital's training. Mend: no division by a spread that may be 0; add a
        little under roots; scale before squaring."""
        augmentation, shape = made
        drawn, some = draws(made), inputs(shape)
        kinds = {"flat": torch.full_like(some, 3.0), "huge": 1e30 * some, "faint": 1e-30 * some, "black": 0 * some}
        for word, images in kinds.items():
            given = images.clone().requires_grad_()
            views = augmentation.apply(given, drawn, shape[1:])
            assert torch.isfinite(views).all(), f"of {word} images views are not finite"
            views.mean().backward()
            assert given.grad is not None and torch.isfinite(given.grad).all(), f"of {word} images no gradient is"

    def test_it_changes_neither_images_nor_draws(self, made: Tried) -> None:
        """The next view is made of the same images. Mend: no operation in place."""
        augmentation, shape = made
        images, drawn = inputs(shape), draws(made)
        before = images.clone(), drawn.clone()
        augmentation.apply(images, drawn, shape[1:])
        assert torch.equal(images, before[0]) and torch.equal(drawn, before[1]), "it changed what it was given"


def draws(made: Tried) -> Tensor:
    """(5, P) of as many generators."""
    augmentation, shape = made
    rows = [augmentation.draw(np.random.default_rng(seed), shape) for seed in range(COUNT)]
    return torch.from_numpy(np.stack(rows))


def inputs(shape: tuple[int, ...]) -> Tensor:
    """(5, *shape) of normal numbers."""
    return torch.randn(COUNT, *shape, generator=torch.Generator().manual_seed(0))


def fitting_shape(augmentation: Any) -> tuple[int, ...]:
    """The first of SHAPES that it takes. Raises AssertionError, saying why each was refused, for none."""
    refusals = []
    for shape in SHAPES:
        try:
            augmentation.apply(inputs(shape), draws((augmentation, shape)), shape[1:])
        except (StudyError, RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
            refusals.append(f"  {shape}: {type(error).__name__}: {str(error).strip().splitlines()[:1]}")
        else:
            return shape
    tried = "\n".join(refusals)
    raise AssertionError(f"the augmentation takes none of these shapes; bind `shape` to one that fits:\n{tried}")
