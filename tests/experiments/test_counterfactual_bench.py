"""The table of the benchmark of counterfactuals: rows of a finished run, and targets that are met or not."""

from __future__ import annotations

import json
from pathlib import Path

from experiments.benchmarks.counterfactuals import measured, rows_of, study_of


def _scores(thickness: float, intensity: float, composition: float) -> dict[str, float]:
    return {"distance_thickness": thickness, "distance_intensity": intensity, "composition": composition}


def _rows(folder: Path, federated: dict[str, float]) -> list[dict[str, str | float | int | None]]:
    folder.mkdir()
    (folder / "final.json").write_text(json.dumps({"test": {"pooled": federated}}))
    baselines = {"pooled_all": _scores(2.0, 2.0, 2.5), "local_all": _scores(4.0, 4.0, 5.0)}
    (folder / "baselines.json").write_text(json.dumps(baselines))
    return rows_of(folder, "ladder")


def test_targets_are_met_within_five_percent_of_pooled_and_at_half_of_the_plain_vae(tmp_path: Path) -> None:
    good = measured(_rows(tmp_path / "good", _scores(2.09, 1.9, 3.0)))
    assert [one.met for one in good.targets] == [True, True, True]
    bad = measured(_rows(tmp_path / "bad", _scores(2.11, 1.9, 3.1)))
    assert [one.met for one in bad.targets] == [False, True, False]
    assert [row["trained"] for row in bad.rows] == ["federated", "pooled", "one hospital"]


def test_what_was_not_measured_is_neither_met_nor_missed(tmp_path: Path) -> None:
    rows = [row for row in _rows(tmp_path / "run", _scores(2, 2, 3)) if row["trained"] != "pooled"]
    assert [one.met for one in measured(rows).targets] == [None, None, True]


def test_the_study_is_the_shipped_one_made_longer() -> None:
    study = study_of("source.digits=drawn", "source.folder=''")
    assert study.rounds == 25 and study.training.steps == 25 and study.baselines.pooled and study.baselines.local
