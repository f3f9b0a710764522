"""The benchmark of four institutions' MRI, of rows made up, and its shipped studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.study.study import parse
from experiments.benchmarks import federated_mri as bench
from experiments.benchmarks._mri_ways import best_alone
from experiments.studies import __path__ as studies

SHIPPED = Path(next(iter(studies)))


def row(way: str, psnr: float, seed: int = 1, **more: float) -> dict[str, Any]:
    gains = {f"gain {site}": 4.0 for site in bench.SITES}
    return {
        "way": way,
        "seed": seed,
        "steps": 10,
        "work": 40,
        "cpu_s": 60.0,
        **dict.fromkeys(bench.SITES, psnr),
        **gains,
        **more,
    }


def rows(tuned: float = 25.6) -> list[dict[str, Any]]:
    others = {f"at FG: {site}": 22.0 + index for index, site in enumerate(("CS", "DU", "HT"))}
    return [
        row(bench.FEDERATED, 25.5, **{f"tuned {site}": tuned for site in bench.SITES}),
        row(bench.EQUAL_STEPS, 25.7),
        row(bench.EQUAL_WORK, 26.0),
        row(bench.ALONE, 25.0, **others),
        row(bench.MENDED, 23.4),
        {**row(bench.OTHERS, 0.0), "FG": 24.1},
    ]


def test_every_aim_is_judged_by_the_figures_that_it_names() -> None:
    met = {one.name + one.target: one.met for one in bench.targets_of(rows())}
    assert met == {
        "federated, dBat least 25.0": True,
        "federated, dBwithin .3 of pooled at equal steps": True,
        "federated, dB(within .3 of pooled at equal work)": False,
        "unrolled, dBU-Net + 2 at equal CPU": True,
        **{f"fine-tuned at {site}, dBat least its own model alone": True for site in bench.SITES},
        "federation that never met FG, dBat least the best single model": True,
    }


def test_a_fine_tuned_model_that_is_worse_than_a_hospitals_own_misses_its_aim() -> None:
    found = [one for one in bench.targets_of(rows(tuned=24.9)) if one.name.startswith("fine-tuned")]
    assert len(found) == 4 and not any(one.met for one in found)


def test_what_the_data_give_alone_is_the_score_less_the_gain() -> None:
    table = {line["way"]: line for line in bench.table_of(rows())}
    assert table[bench.ZERO_FILLED]["mean"] == pytest.approx(21.5)
    assert table[bench.TUNED]["mean"] == pytest.approx(25.6)


def test_elsewhere_the_best_of_the_others_is_compared() -> None:
    assert best_alone(rows()[3], "FG") == 24.0
    ours, best = bench.elsewhere_of(rows())
    assert (ours["FG"], best["FG"]) == (24.1, 24.0)


def test_a_half_measured_table_is_shown_and_judges_nothing() -> None:
    found = bench.measured(rows()[:1])
    assert found.rows and all(one.met is None for one in found.targets if "pooled" in one.target)


@pytest.mark.parametrize("name", ["mri", "mri_elsewhere", "phantom_reconstruction", "ct"])
def test_shipped_studies_of_reconstruction_are_whole(name: str) -> None:
    study = parse((SHIPPED / f"{name}.toml").read_text(encoding="utf-8"))
    assert study.task.name == "unrolled" and study.source.name == "acquired"


def test_the_study_elsewhere_measures_as_the_study_that_it_goes_with() -> None:
    here, there = (parse((SHIPPED / f"{name}.toml").read_text(encoding="utf-8")) for name in ("mri", "mri_elsewhere"))
    assert {**there.source.options, "members": ()} == {**here.source.options, "members": ()}
    assert there.task == here.task
