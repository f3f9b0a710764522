"""The table of the benchmark of counterfactuals: rows, targets, and models that no federation trained."""

from __future__ import annotations

import pytest

from experiments.benchmark import Cell
from experiments.benchmarks._causal_baselines import Scores, mean_of, scores_of_baseline
from experiments.benchmarks.counterfactuals import measured, rows_of, study_of


def _scores(thickness: float, intensity: float, composition: float) -> Scores:
    return {"distance_thickness": thickness, "distance_intensity": intensity, "composition": composition}


def _rows(federated: Scores) -> list[dict[str, Cell]]:
    baselines = {"pooled": _scores(2.0, 2.0, 2.5), "one hospital": _scores(4.0, 4.0, 5.0)}
    return rows_of(federated, baselines, {"pooled": _scores(3.0, 3.0, 5.8)})


def test_targets_are_met_within_five_percent_of_pooled_and_at_half_of_plain_vaes() -> None:
    good = measured(_rows(_scores(2.09, 1.9, 2.9)))
    assert [one.met for one in good.targets] == [True, True, True, True]
    bad = measured(_rows(_scores(2.11, 1.9, 3.0)))
    assert [one.met for one in bad.targets] == [False, True, True, False]
    assert [row["trained"] for row in bad.rows] == ["pooled", "one hospital", "federated", "pooled"]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    rows = rows_of(_scores(2, 2, 3), {}, {})
    assert [one.met for one in measured(rows).targets] == [None, None, True, None]


def test_the_study_is_the_shipped_one_made_longer() -> None:
    study = study_of("source.digits=drawn", "source.folder=''")
    assert study.rounds * (study.training.steps or 0) == 625


def test_baselines_take_one_hospitals_steps_and_are_scored_on_all_hospitals_digits() -> None:
    small = ("source.digits=drawn", "source.folder=''", "source.hospitals=3", "source.patients=[6]", "rounds=3")
    tiny = "task.network={ name = 'conditional_ladder', channels = [4], latents = [] }"
    study = study_of(*small, tiny, "training.steps=1", "training.batch_size=4", "split.test=0.34")
    everybody, one = scores_of_baseline(study.json), scores_of_baseline(study.json, (0,))
    assert set(everybody) == set(one)
    assert everybody["distance_thickness"] != one["distance_thickness"]


def test_a_mean_of_models_is_of_every_score_and_unknown_where_one_is() -> None:
    assert mean_of([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": None}]) == {"a": pytest.approx(2.0), "b": None}
