"""Which hospitals are scored and never trained on."""

from __future__ import annotations

from collections import Counter

import pytest

from common.errors import StudyError
from common.study.held_out import part_of
from common.study.split_settings import Split
from common.study.study import Study, parse
from common.sums.cohorts import Cohorts

BY_HOSPITAL = "split.unit=hospital"
TEXT = """
title = "Held out"
source = { name = "phantom" }
task = { name = "segmentation", network = "unet" }
"""


def sites(count: int) -> tuple[str, ...]:
    return tuple(f"h{index:03d}" for index in range(count))


def study(*overrides: str) -> Study:
    return parse(TEXT, overrides)


def counts(count: int) -> Counter[str | None]:
    own = Split(unit="hospital")
    return Counter(part_of(own, 7, sites(count), site) for site in sites(count))


@pytest.mark.parametrize(
    ("hospitals", "train", "validation", "test"),
    [(5, 2, 0, 3), (10, 7, 0, 3), (25, 19, 0, 6), (30, 19, 3, 8), (1000, 650, 100, 250)],
)
def test_shares_of_hospitals_are_rounded_and_no_part_is_of_fewer_than_three(
    hospitals: int, train: int, validation: int, test: int
) -> None:
    found = counts(hospitals)
    assert (found["train"], found["validation"], found["test"]) == (train, validation, test)


def test_a_study_that_divides_patients_holds_no_hospital_out() -> None:
    assert part_of(Split(), 7, sites(9), "h001") is None
    cohorts = Cohorts.of(study("aggregation=plain"), sites(9))
    assert cohorts.trains == cohorts.scored == cohorts.between == sites(9)


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_who_trains_is_never_scored_and_every_hospital_does_one_of_them(aggregation: str) -> None:
    cohorts = Cohorts.of(
        study(BY_HOSPITAL, f"aggregation={aggregation}", "federation.client_fraction=0.5"), sites(60)
    )
    trained = {site for number in range(1, 11) for site in cohorts.of_round(number).sites}
    last = cohorts.of_round(cohorts.final_round)
    assert not trained & set(last.sites)
    assert trained <= set(cohorts.trains)
    assert sorted((*cohorts.trains, *cohorts.scored)) == list(sites(60))
    assert set(cohorts.between) < set(last.sites) == set(cohorts.scored)


def test_scores_of_sums_are_opened_of_groups_of_three_and_more() -> None:
    cohorts = Cohorts.of(study(BY_HOSPITAL, "federation.evaluate_fraction=0.3"), sites(100))
    last = cohorts.of_round(cohorts.final_round)
    assert 3 <= len(last.sites) < len(cohorts.scored)
    assert all(len(group) >= 3 for group in last.groups)
    assert {site for group in last.groups for site in group} == set(last.sites)


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["privacy={name='dpsgd',epsilon=1.0,delta=1e-4}"], "promise privacy"),
        (["baselines.local=true"], r"baselines\.local needs hospitals that do both"),
        (["training.label_share=0.5"], r"training\.label_share"),
        (["federation.stop_at_score=0.9"], "scores the last model alone"),
    ],
)
def test_what_needs_hospitals_that_train_and_are_scored_is_refused(overrides: list[str], match: str) -> None:
    with pytest.raises(StudyError, match=match):
        study(BY_HOSPITAL, *overrides)


def test_too_few_hospitals_to_hold_some_out_are_told() -> None:
    with pytest.raises(StudyError, match="of 3 none is left to train"):
        Cohorts.of(study(BY_HOSPITAL, "aggregation=plain"), sites(3))


def test_studies_that_do_not_say_a_unit_read_as_before() -> None:
    assert "unit" not in study().json and '"unit": "hospital"' in study(BY_HOSPITAL).json
