"""Panels of the report's pictures, from images made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from common.study.study import parse
from experiments.running.case_panels import grey, outline_panels, outlined, pair_panels, upright
from experiments.running.gallery import COLOURS
from experiments.running.run import run_study

PAIRS = """
title = "Pairs"
strategy = "fedavg"
aggregation = "plain"
rounds = 1
engine = "inline"
source = { name = "phantom_pairs", hospitals = 2, patients = [5, 5], size = 16 }
task = { name = "registration", network = { name = "voxelmorph", channels = 2, depth = 2 } }
training = { steps = 1, batch_size = 2, learning_rate = 0.001, optimiser = "adam" }
federation = { evaluate_every = 1 }
"""


def test_a_slice_is_shown_with_the_top_up() -> None:
    volume = np.zeros((3, 4, 5))
    volume[1, 2, 4] = 1
    assert upright(volume, 0, 1)[0, 2] == 1
    assert upright(volume, 2, 4)[1, 1] == 1


def test_outlines_are_lines_inside_the_label_in_its_colour() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[3:7, 2:8] = 2
    picture = grey(np.zeros((10, 10)))
    drawn = outlined(picture, labels, COLOURS)
    factor = picture.shape[0] // 10
    assert (drawn[3 * factor, 2 * factor] == COLOURS[2]).all()
    assert (drawn[5 * factor, 5 * factor] == 0).all()
    outside = np.kron(labels == 0, np.ones((factor, factor), bool))
    assert (drawn[outside] == 0).all()


def test_equal_images_have_a_difference_that_is_grey() -> None:
    image = np.random.default_rng(0).normal(size=(12, 10, 9)).astype(np.float32)
    panels = dict(pair_panels(image, image, image))
    assert len(panels) == 6
    assert np.ptp(panels["difference after"]) == 0


def test_a_volume_is_shown_in_the_planes_through_its_structure() -> None:
    truth = np.zeros((8, 9, 10), np.uint8)
    truth[1, 2, 3] = 1
    panels = dict(outline_panels(truth.astype(np.float32), truth, np.zeros_like(truth), COLOURS))
    assert len(panels) == 6
    coloured = {name: bool((np.ptp(pixels.astype(int), axis=2) > 0).any()) for name, pixels in panels.items()}
    assert all(coloured[name] == name.startswith("truth") for name in panels)


def test_the_report_of_a_registration_shows_pairs(tmp_path: Path) -> None:
    report = run_study(parse(PAIRS), "pairs", tmp_path / "run")
    pictures = json.loads((tmp_path / "run" / "pictures.json").read_text())
    assert [len(picture["panels"]) for picture in pictures if "rank" not in picture] == [6, 6]
    assert [picture["rank"] for picture in pictures if "rank" in picture] == ["worst", "best"]
    html = report.read_text(encoding="utf-8")
    assert html.count("difference after") >= 2
    final = json.loads((tmp_path / "run" / "final.json").read_text())
    assert final["test"]["pooled"]["epe_before_mm"] > 1
