"""What bench robust makes of its rows, and how it counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments.benchmarks._robust_ways import GROWING, PGD, PLAIN, RECIPES, Way, balanced
from experiments.benchmarks.robust import FGSM, JUDGED, POOLED, WAYS, measured


def row(way: str, seed: int = 0, **more: Any) -> dict[str, Any]:
    scores = {"clean": 0.85, "2/255": 0.8, "4/255": 0.74, "8/255": 0.63, "training CPU s": 20.0}
    return {"way": way, "seed": seed, **scores, **more}


def rows() -> list[dict[str, Any]]:
    plain = row(PLAIN, **{"clean": 0.87, "4/255": 0.4, "8/255": 0.1, "training CPU s": 10.0})
    slow = row(PGD, **{"4/255": 0.73, "training CPU s": 51.0})
    return [plain, row(FGSM, **{"custom at 4/255": 0.735}), slow, row(POOLED, **{"4/255": 0.77})]


def test_targets_are_those_of_the_best_recipe_worked_out_by_hand() -> None:
    found = {one.name: one for one in measured(rows()).targets}
    assert all(found[name].met for name in ("balanced accuracy at 4/255", "balanced accuracy at 8/255"))
    assert found["share of pooled PGD at 4/255"].ours == pytest.approx(0.74 / 0.77)
    assert found["clean accuracy lost"].ours == pytest.approx(0.02) and found["clean accuracy lost"].met
    assert found["custom AutoAttack below the strongest"].ours == pytest.approx(0.005)
    assert found["CPU of FGSM, times plain"].ours == pytest.approx(2.0)
    assert found["CPU of PGD-5, times plain"].met is False


def test_without_rows_nothing_is_said_to_be_met() -> None:
    assert {one.met for one in measured([]).targets} == {None}


def test_a_mean_over_seeds_is_shown_and_signs_of_hiding_are_named() -> None:
    two = [row(FGSM, 0, masking="none"), row(FGSM, 1, **{"4/255": 0.70, "masking": "hidden"})]
    (line,) = measured(two).rows
    assert line["4/255"] == pytest.approx(0.72) and line["seeds"] == 2 and line["masking"] == "hidden, none"


def test_rare_classes_count_as_much_as_others() -> None:
    right = np.array([True] * 8 + [False, True])
    assert balanced(right, np.array([0] * 8 + [1] * 2)) == 0.75


def test_every_way_is_a_study_of_its_own_and_the_shipped_one_is_among_them(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "pneumoniamnist").mkdir()
    monkeypatch.setenv("WARDROUND_DATA", str(tmp_path))
    studies = {name: Way(name, 0).study for name in WAYS}
    assert studies[PLAIN].task.name == "classification" and set(JUDGED) <= set(WAYS)
    assert all(studies[name].task.name == "adversarial" for name in RECIPES)
    assert {name for name, study in studies.items() if study.task.options.get("grows_over")} == set(GROWING)
    assert len({study.json for study in studies.values()}) == len(WAYS)
