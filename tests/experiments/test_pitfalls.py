"""The page of pitfalls is what the code makes, and shows what it claims."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from experiments.pitfalls import noise_curve, raters, references
from experiments.pitfalls.page import _figures, pitfalls, write

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_the_code_writes(tmp_path: Path) -> None:
    write(tmp_path)
    names = ["pitfalls.md", *(f"pitfalls/{path.name}" for path in (tmp_path / "pitfalls").iterdir())]
    for name in names:
        assert (DOCS / name).read_text() == (tmp_path / name).read_text(), (
            f"{name}: run python -m experiments.pitfalls.page"
        )


def test_every_lesson_is_borne_out_by_its_figures() -> None:
    found = {pitfall.name: [_figures(example) for example in pitfall.examples] for pitfall in pitfalls()}
    large, small = found["size"]
    assert large["Dice"] > 0.96 and small["Dice"] < 0.81 and large["HD"] == small["HD"] == 1
    assert min(large["accuracy"], small["accuracy"]) > 0.98
    round_, thin = found["shape"]
    assert round_["Dice"] > 0.95 and thin["Dice"] == 0.5 and thin["surface Dice, 1 mm"] == 1
    assert thin["clDice"] == 0
    one_of_five, cut = found["several"]
    assert one_of_five["Dice"] > 0.94 and one_of_five["lesion F1"] < 0.34 and one_of_five["Betti error"] == 4
    assert cut["lesions split"] == cut["Betti error"] == 1
    speck, trembling = found["noise"]
    assert speck["Dice"] > trembling["Dice"] and speck["HD"] > 10 and speck["HD95"] < 1
    fine, coarse = found["resolution"]
    assert fine["HD"] < 3 < coarse["HD"]
    neither, invented, missed = found["empty"]
    assert neither["Dice"] != neither["Dice"] and invented["Dice"] == missed["Dice"] == 0
    assert missed["HD"] == float("inf")


def test_votes_repair_scatter_and_not_bias() -> None:
    biased, scattered = raters.figures()
    trueness, precision, dice, own, voted = biased
    assert biased[trueness] == pytest.approx(2.0, abs=0.15) and biased[precision] < 0.15
    assert abs(scattered[trueness]) < 0.3 and scattered[precision] > 0.6
    assert abs(biased[dice] - scattered[dice]) < 0.05
    assert biased[own] > scattered[own] + 0.1
    assert scattered[voted] > scattered[dice] + 0.05 and biased[voted] < biased[dice] + 0.01
    assert raters.between()["Dice"] < min(biased[own], scattered[own])


def test_the_order_of_methods_turns_round_as_noise_grows() -> None:
    plain, smoothed = noise_curve.curves().values()
    assert plain[0] == 1 > smoothed[0] > 0.9
    assert all(after < before for before, after in pairwise(plain))
    assert all(b > a + 0.1 for a, b in zip(plain[1:], smoothed[1:], strict=True))


def test_the_gold_standard_prefers_who_imitates_it_and_the_truth_does_not() -> None:
    imitates, finds = references.figures()
    gold, truth = imitates
    assert imitates[gold] > finds[gold] + 0.05 and finds[truth] > imitates[truth] + 0.05
    assert references.found_nothing() == {"accuracy, (TP + TN) / N": pytest.approx(0.994, abs=1e-3), "Dice": 0.0}
