"""Every augmentation of ours passes the tests that anybody's inherits, on lines, planes and volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.func import grad, vmap

from common.data.cases import Batch
from common.errors import StudyError
from common.selfsupervision.augmentations.grey import Grey
from common.selfsupervision.drawn_views import drawn_views, held_views, seen
from common.study.catalogue import AUGMENTATIONS
from common.study.options import Entry
from wardround.testing import AugmentationTests
from wardround.testing.augmentations import SHAPES, Tried, draws, inputs

EVERYTHING = {"smallest_crop": 0.2, "largest_crop": 0.9, "aspect": 2.0, "rotation_degrees": 30.0, "contrast": 0.5}
EVERYTHING |= {"brightness": 0.5, "gamma": 0.5, "blur_pixels": 1.0, "noise": 0.1, "cut_out": 0.3}
OPTIONS = {
    "none": {},
    "grey": {**EVERYTHING, "mirrored": [-1]},
    "xray": {**EVERYTHING, "left_right": True},
    "mr": {**EVERYTHING, "mirrored": [0], "bias_field": 0.5, "ghosting": 0.5},
}


class TestEveryAugmentation(AugmentationTests):
    @pytest.fixture(params=[(name, shape) for name in AUGMENTATIONS.names() for shape in (*SHAPES, (1, 1, 1))])
    def made(self, request: pytest.FixtureRequest) -> Tried:
        name, shape = request.param
        return AUGMENTATIONS.build(Entry(name, OPTIONS[name])), shape

    def test_views_can_be_differentiated_by_the_images(self, made: Tried) -> None:
        """Where there is a pixel beside another one: what is hidden is all of a single one."""
        if made[1] != (1, 1, 1):
            super().test_views_can_be_differentiated_by_the_images(made)

    def test_many_cases_are_drawn_as_each_is_drawn_alone(self, made: Tried) -> None:
        augmentation, shape = made
        together = augmentation.draw_each([np.random.default_rng(seed) for seed in range(5)], shape)
        assert np.array_equal(together, draws(made).numpy())

    def test_each_case_is_differentiated_alone_as_among_others(self, made: Tried) -> None:
        augmentation, shape = made
        images, drawn = inputs(shape).double(), draws(made)

        def one(image: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
            return augmentation.apply(image[None], row[None], shape[1:]).square().sum()

        given = images.clone().requires_grad_()
        augmentation.apply(given, drawn, shape[1:]).square().sum().backward()
        torch.testing.assert_close(vmap(grad(one))(images, drawn), given.grad)

    def test_no_case_gives_no_view(self, made: Tried) -> None:
        augmentation, shape = made
        none = augmentation.draw_each([], shape)
        assert augmentation.apply(inputs(shape)[:0], torch.from_numpy(none), shape[1:]).shape == (0, *shape)


def batch_of(images: torch.Tensor, **columns: torch.Tensor) -> Batch:
    return Batch.of(images, torch.zeros(len(images)), ["p"] * len(images), **columns)


def off(name: str) -> dict[str, object]:
    """Every option at what its docstring calls off."""
    numbers: dict[str, object] = dict.fromkeys(AUGMENTATIONS.options(name), 0.0)
    ones = {option: 1.0 for option in ("smallest_crop", "largest_crop", "aspect") if option in numbers}
    sides = {"mirrored": []} if "mirrored" in numbers else {"left_right": False} if "left_right" in numbers else {}
    return {**numbers, **ones, **sides}


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
@pytest.mark.parametrize("shape", SHAPES)
def test_with_every_option_off_a_view_is_the_image_itself(name: str, shape: tuple[int, ...]) -> None:
    images = inputs(shape)
    entry = Entry(name, off(name))
    drawn = drawn_views(entry, images, ["one"], np.random.default_rng(0))["one"]
    assert torch.equal(seen(entry, images, drawn), images)


@pytest.mark.parametrize("name", ["grey", "xray", "mr"])
@pytest.mark.parametrize("option", sorted({*EVERYTHING, "bias_field", "ghosting"} - {"largest_crop"}))
def test_each_option_alone_changes_the_image_and_no_number_that_it_does_not_need_is_drawn(
    name: str, option: str
) -> None:
    if option not in AUGMENTATIONS.options(name):
        pytest.skip("another kind of image has it")
    images, options = inputs((1, 12, 10)), {**off(name), option: {**OPTIONS["mr"], **OPTIONS[name]}[option]}
    if option == "aspect":
        options["smallest_crop"] = options["largest_crop"] = 0.3
    entry = Entry(name, options)
    drawn = drawn_views(entry, images, ["one"], np.random.default_rng(0))["one"]
    assert not torch.equal(seen(entry, images, drawn), images)
    more = {"contrast": 3, "brightness": 3, "gamma": 3, "blur_pixels": 1, "noise": 5, "cut_out": 3}
    assert drawn.shape[1] == 6 + (more | {"bias_field": 9, "ghosting": 3}).get(option, 0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"smallest_crop": 0.0}, r"augmentation.smallest_crop must lie between 0.001 and 1.0; it is 0.0"),
        ({"smallest_crop": 0.5, "largest_crop": 0.4}, r"smallest_crop must be at most largest_crop, 0.4; it is 0.5"),
        ({"aspect": 0.5}, r"augmentation.aspect must lie between 1.0 and 10.0; it is 0.5"),
        ({"contrast": -0.1}, r"augmentation.contrast must lie between 0.0 and 1.0; it is -0.1"),
        ({"noise": float("nan")}, r"augmentation.noise must lie between 0.0 and 1.0; it is nan"),
        ({"mirrored": [3]}, r"augmentation.mirrored\[0\] must lie between -3 and 2; it is 3"),
        ({"blur": 1.0}, r"option of augmentation 'grey'.*did you mean 'blur_pixels'"),
        ({"rotation_degree": 1.0}, r"did you mean 'rotation_degrees'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(options: dict[str, object], reason: str) -> None:
    with pytest.raises(StudyError, match=reason):
        AUGMENTATIONS.build(Entry("grey", options))


def test_an_axis_that_an_image_has_not_is_refused_where_it_is_drawn() -> None:
    with pytest.raises(StudyError, match=r"mirrored names axis 2, and an image has 2: -2 to 1"):
        AUGMENTATIONS.build(Entry("grey", {"mirrored": [2]})).draw(np.random.default_rng(0), (1, 8, 8))


def test_rows_of_numbers_are_refused_since_they_are_no_images() -> None:
    with pytest.raises(StudyError, match=r"for images of 1 to 3 axes.*cases of shape \(13,\)"):
        AUGMENTATIONS.build(Entry("grey")).draw(np.random.default_rng(0), (13,))


def test_an_unknown_augmentation_is_answered_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="did you mean 'xray'"):
        AUGMENTATIONS.build(Entry("x-ray"))


def test_crops_of_two_sizes_are_of_two_entries() -> None:
    views = {"whole": Entry("grey", {"smallest_crop": 0.4}), "part": Entry("grey", {"largest_crop": 0.4})}
    images = inputs((1, 12, 12))
    drawn = drawn_views(views, images, ["whole", "part"], np.random.default_rng(0))
    area = {name: row[:, 0].abs() * row[:, 4].abs() for name, row in drawn.items()}
    assert (area["whole"] > 0.4 - 1e-6).all() and (area["part"] < 0.4 + 1e-6).all()
    assert seen(views["part"], images, drawn["part"], (6, 6)).shape == (5, 1, 6, 6)


def test_a_case_as_it_is_held_has_the_same_views_in_every_batch_and_precision() -> None:
    images, entry = inputs((1, 12, 10)), Entry("grey")
    whole = held_views(entry, batch_of(images), ["one"])["one"]
    assert torch.equal(held_views(entry, batch_of(images[[3, 1]]), ["one"])["one"], whole[[3, 1]])
    assert torch.equal(held_views(entry, batch_of(images.double()), ["one"])["one"], whole)
    assert len(torch.unique(whole, dim=0)) == len(images)


def test_views_that_a_batch_brings_are_taken() -> None:
    images = inputs((1, 12, 10))
    brought = torch.arange(60, dtype=torch.float32).reshape(5, 12)
    assert torch.equal(held_views(Entry("grey"), batch_of(images, one=brought), ["one"])["one"], brought)


@dataclass(frozen=True)
class Upright(Grey):
    """A person's own, which draws something else than its steps do."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        row = super().draw(rng, shape)
        row[:2] = 1, 0
        return row


def test_a_pipeline_that_draws_in_its_own_way_is_asked_for_each_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(AUGMENTATIONS), "build", lambda *_: Upright())
    drawn = drawn_views(Entry("upright"), inputs((1, 8, 8)), ["one"], np.random.default_rng(0))["one"]
    assert drawn[:, :2].tolist() == [[1, 0]] * 5
