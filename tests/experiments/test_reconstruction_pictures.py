"""Panels of reconstructions: one window for all images, errors on a stated scale, volumes in three planes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from common.errors import StudyError
from common.learning.panels import Panel
from common.reconstruction.pictures import comparison
from experiments.running.gallery import _own_panel
from experiments.running.windowed_panels import BAR, GAP, NOTHING, SIDE, pixels_of
from server.reporting.parsing import pictures_of
from server.reporting.sections.pictures import cards


def a_case(shape: tuple[int, ...] = (1, 16, 16)) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return truth, 0.5 * truth


def test_images_share_one_window_and_errors_a_fifth_of_it() -> None:
    truth, half = a_case()
    panels = comparison(truth, {"zero-filled": half, "reconstruction": truth}, 1.0)
    names = ["truth", "zero-filled", "error, zero-filled", "reconstruction", "error, reconstruction"]
    assert list(panels) == names
    assert len({(panels[name].low, panels[name].high) for name in names if "error" not in name}) == 1
    error = panels["error, zero-filled"]
    assert error.high == pytest.approx(panels["truth"].high / 5)
    assert error.colours == "heat"
    torch.testing.assert_close(error.values, (truth - half)[0].double())
    assert panels["reconstruction"].note == "PSNR 100.00 dB, SSIM 1.000"
    assert panels["zero-filled"].note.startswith("PSNR 11.12 dB")
    assert error.note == f"black 0, pale {error.high:.3g}"


def test_without_a_truth_there_are_no_scores_and_no_errors() -> None:
    panels = comparison(None, {"reconstruction": a_case()[0]}, 1.0)
    assert list(panels) == ["reconstruction"]
    assert panels["reconstruction"].note.startswith("0 to ")


def test_complex_images_are_drawn_by_magnitude_and_by_phase_where_there_is_one() -> None:
    image = torch.tensor([[[3.0, 0.0], [0.0, 3.0]], [[4.0, 0.0], [5.0, 0.0]]])
    panels = comparison(image, {"same": image}, 5.0, complex_images=True, phase=True)
    assert panels["truth"].values.tolist() == [[5.0, 0.0], [5.0, 3.0]]
    angles = panels["phase, truth"].values
    assert math.isnan(angles[0, 1])
    assert angles[1, 0].item() == pytest.approx(math.pi / 2)
    assert "phase, same" in panels


def test_an_image_that_is_none_is_drawn_as_nothing() -> None:
    truth, _ = a_case()
    panels = comparison(truth, {"diverged": truth * math.nan}, 1.0)
    assert (pixels_of(panels["diverged"], "") == NOTHING).all()
    assert panels["diverged"].note == "PSNR -100.00 dB, SSIM -1.000"


def test_grey_runs_from_low_to_high_and_an_error_map_has_its_bar() -> None:
    values = torch.tensor([[0.0, 1.0], [2.0, 9.0]])
    grey = pixels_of(Panel(values, 0.0, 2.0), "")
    corners = [int(grey[row, column, 0]) for row in (0, -1) for column in (0, -1)]
    assert corners == [0, 128, 255, 255]
    heat = pixels_of(Panel(values, 0.0, 2.0, "heat"), "")
    assert len(heat) == len(grey) + BAR + GAP
    assert heat[-1, 0].tolist() == [0, 0, 4]
    assert heat[-1, -1].tolist() == [252, 255, 164]


def test_a_volume_is_three_planes_and_thick_slices_are_drawn_thick() -> None:
    picture = pixels_of(Panel(torch.rand(20, 10, 5), 0.0, 1.0, spacing_mm=(1.0, 1.0, 4.0)), "")
    heights = [SIDE, SIDE, SIDE // 2]
    assert picture.shape[:2] == (sum(heights) + 2 * GAP, SIDE)
    lone = pixels_of(Panel(torch.rand(20, 10, 1), 0.0, 1.0), "")
    assert lone.shape[:2] == (110, 220)


def test_what_is_no_picture_is_refused_by_name() -> None:
    with pytest.raises(StudyError, match=r"panel 'loss' must be \(H, W\) or \(X, Y, Z\)"):
        pixels_of(Panel(torch.zeros(3), 0.0, 1.0), "loss")
    with pytest.raises(ValueError, match="from a low value to a higher one"):
        Panel(torch.zeros(3, 3), 1.0, 1.0)


def test_the_report_shows_the_note_below_the_name() -> None:
    truth, half = a_case()
    panels = [_own_panel(name, one) for name, one in comparison(truth, {"zero-filled": half}, 1.0).items()]
    plain = _own_panel("plain", np.pi * torch.eye(4))
    (picture,) = pictures_of([{"site": "A", "patient": "p", "score": 0.5, "panels": [*panels, plain]}])
    html = str(cards([picture], "PSNR"))
    assert "cards wide" in html
    assert "<figcaption>zero-filled<br>PSNR 11.12 dB" in html
    assert "<figcaption>plain</figcaption>" in html
