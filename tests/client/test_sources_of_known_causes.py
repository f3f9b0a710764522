"""Images of known causes: what is measured is what was asked for, and each action changes what it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.sources._drawn_digits import DIGITS, drawn
from client.sources._phantom_anatomy import draw_anatomy
from client.sources._strokes import of_image, rendered, thinned
from client.sources._ventricles import head_with, ventricle_share
from client.sources.chest_causes import ChestCauses, exposure_of
from client.sources.morpho import Morpho, intensity_of
from client.sources.phantom_causes import PhantomCauses
from common.data.cases import Cases
from common.errors import WardroundError
from common.metrics.strokes import stroke_intensity, stroke_thickness
from tests.client.source_makers import make_chest_causes


@pytest.mark.parametrize("width", [2, 3, 4, 6])
@pytest.mark.parametrize("grey", [80, 255])
def test_a_stripe_measures_its_width_and_its_grey(width: int, grey: int) -> None:
    image = np.zeros((28, 28))
    image[:, 10 : 10 + width] = grey / 255
    assert stroke_intensity(image) == pytest.approx(grey)
    assert stroke_thickness(image) == pytest.approx(width, rel=0.05)


def test_nothing_measures_nothing() -> None:
    assert stroke_thickness(np.zeros((28, 28))) == stroke_intensity(np.zeros((28, 28))) == 0
    assert stroke_thickness(np.ones((28, 20))) == 20


@pytest.mark.parametrize("digit", range(len(DIGITS)))
def test_a_digit_is_rendered_as_thick_and_as_bright_as_it_is_asked_to_be(digit: int) -> None:
    line = drawn(digit, np.random.default_rng(digit))
    for thickness, intensity in ((1.8, 90), (2.5, 160), (3.5, 240)):
        image = rendered(line, thickness, intensity)
        assert stroke_thickness(image) == pytest.approx(thickness, abs=0.25)
        assert stroke_intensity(image) == pytest.approx(intensity, abs=6)


def test_a_centre_line_is_thin_whole_and_finds_its_stroke_again() -> None:
    mask = np.zeros((20, 30), bool)
    mask[7:12, 4:26] = True
    line = thinned(mask)
    assert line.any() and not (line & ~mask).any()
    assert line[:, 8:22].sum(axis=0).tolist() == [1] * 14
    image = rendered(drawn(1, np.random.default_rng(0)), 3.0, 255)
    assert np.abs(rendered(of_image(image), 3.0, 255) - image).mean() < 0.03


def test_the_digits_model_is_that_of_the_paper() -> None:
    assert intensity_of(2.5, 0.0) == pytest.approx(191 / 2 + 64)
    assert intensity_of(2.0, 2.0) == pytest.approx(191 / 2 + 64)


def test_thickness_causes_intensity_and_not_the_other_way() -> None:
    cases = Morpho(hospitals=1, patients=(6,)).cases("hospital-1", 3)
    values, done = cases.targets, cases.array("done")
    assert np.abs(done[:, 1, 0] - values[:, 0]).max() < 0.25, "do(intensity) leaves the thickness"
    assert np.abs(done[:, 0, 1] - values[:, 1]).mean() > 5, "do(thickness) moves the intensity"
    for case in range(6):
        for action in range(2):
            made = cases.array("counterfactual")[case, action, 0]
            assert stroke_thickness(made) == pytest.approx(done[case, action, 0], abs=1e-4)
            assert stroke_intensity(made) == pytest.approx(done[case, action, 1], rel=1e-5)


def test_hospitals_writers_differ_and_their_mechanism_does_not() -> None:
    source = Morpho(hospitals=2, patients=(6,), unlike=0.5)
    thin, thick = (source.cases(site, 1).targets[:, 0] for site in source.sites())
    assert thin.mean() < 0.7 * thick.mean()


def test_another_scanner_shows_the_same_digit() -> None:
    cases = Morpho(hospitals=2, patients=(2,), scanners=True).cases("hospital-2", 1)
    done = cases.array("done")
    assert done[:, 2, 2].tolist() == [0, 0] and np.array_equal(done[:, 2, :2], cases.targets[:, :2])
    blurred, sharp = cases.inputs[:, 0], cases.array("counterfactual")[:, 2, 0]
    assert np.abs(np.diff(blurred)).max() < np.abs(np.diff(sharp)).max()


def test_ventricles_are_as_wide_as_they_are_asked_to_be() -> None:
    head = draw_anatomy(np.random.default_rng(0))
    shares = [ventricle_share(head_with(head, wanted)) for wanted in (4.8, 5.4, 6.2)]
    assert shares == pytest.approx([4.8, 5.4, 6.2], abs=0.3)


def test_a_brains_actions_change_what_they_cause_and_nothing_else() -> None:
    cases = PhantomCauses(hospitals=2, patients=(1,), size=16).cases(PhantomCauses(hospitals=2).sites()[0], 1)
    values, done = cases.targets[0], cases.array("done")[0]
    assert done[0, 0] == 1 - values[0] and done[0, 1] == values[1]
    assert done[2, :2].tolist() == values[:2].tolist() and done[2, 2] != values[2]
    assert done[3].tolist() == [*values[:3].tolist(), 1.0]
    made = cases.array("counterfactual")[0, :, 0]
    assert all(np.abs(one - cases.inputs[0, 0]).max() > 0.01 for one in (made[0], made[2], made[3]))


def test_a_diagnosis_is_of_the_same_heads() -> None:
    source = PhantomCauses(hospitals=1, patients=(2,), size=16)
    site = source.sites()[0]
    cases, labelled = source.cases(site, 1), replace(source, target="diagnosis").cases(site, 1)
    assert np.array_equal(cases.inputs, labelled.inputs) and labelled.classes == ("well", "ill")


def test_a_chest_is_exposed_as_its_size_asks_for_and_measured(tmp_path: Path) -> None:
    source = ChestCauses(**make_chest_causes(tmp_path)[0])  # type: ignore[arg-type]
    cases: Cases = source.cases("hospital-1", 1)
    assert np.allclose(255 * cases.inputs.mean((1, 2, 3)), cases.targets[:, 1], atol=1e-3)
    assert np.allclose(cases.array("done")[:, 1, 0], cases.targets[:, 0])
    assert exposure_of(1.1, 0) - exposure_of(1.0, 0) == pytest.approx(12)
    assert replace(source, target="label").cases("hospital-1", 1).classes == ("normal", "pneumonia")


def test_more_persons_than_there_are_images_are_refused(tmp_path: Path) -> None:
    options = {**make_chest_causes(tmp_path)[0], "patients": (30,)}
    with pytest.raises(WardroundError, match="grey images; there are 12"):
        ChestCauses(**options).cases("hospital-1", 1)  # type: ignore[arg-type]
