"""What the server takes for hospitals' sizes, and how many cases a sum can count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.data.cases import Shape
from common.errors import RoundError
from common.learning.client_work import Training
from common.study.options import Entry
from common.study.study import Study, parse
from common.sums.mean import MOST_WEIGHT, Mean
from server.members import Member
from server.public_numbers import demand_countable

STUDY = 'title = "S"\nsource = "phantom"\ntask = "segmentation"\ntraining = { steps = 1, batch_size = 1 }'


def members(**cases: int) -> dict[str, Member]:
    def of(site: str, count: int) -> Member:
        held = {"train": count, "validation": 0, "test": count // 4}
        return Member(site, held, held, 0, (), Shape((1,), ()), ())

    return {site: of(site, count) for site, count in cases.items()}


def trained(**settings: object) -> Study:
    study = parse(STUDY)
    return replace(study, training=Training(**{"steps": None, **settings}))  # type: ignore[arg-type]


def test_what_a_round_counts_is_the_most_that_a_mean_holds_and_one_more_is_refused() -> None:
    study, half = trained(), MOST_WEIGHT // 2
    demand_countable(study, members(a=half, b=half + 1, c=7), 2, ())
    with pytest.raises(RoundError, match=r"4,194,304 cases would be shown .* counts 4,194,303 at most"):
        demand_countable(study, members(a=half + 1, b=half + 1, c=7), 2, ())
    Mean(0, MOST_WEIGHT << 40) + Mean()
    with pytest.raises(OverflowError):
        Mean(0, MOST_WEIGHT << 40) + Mean(0, 1 << 40)


def test_cases_count_as_often_as_they_are_shown_and_a_drawn_round_as_its_largest_hospitals() -> None:
    many = members(a=2_000_000, b=1_000_000, c=1_000_000)
    demand_countable(trained(), many, 3, ())
    with pytest.raises(RoundError, match=r"8,000,000 cases"):
        demand_countable(trained(epochs=2), many, 3, ())
    demand_countable(trained(epochs=2), many, 1, ())
    with pytest.raises(RoundError, match=r"6,000,000 cases"):
        demand_countable(trained(steps=2_000_000, batch_size=1), many, 3, ())


def test_cases_that_are_scored_count_where_their_hospital_is_asked() -> None:
    large = members(a=12_000_000, b=12_000_000)
    study = trained(steps=1, batch_size=1)
    few = {site: replace(one, cases={**one.cases, "train": 10}) for site, one in large.items()}
    demand_countable(study, few, 2, ("a",))
    with pytest.raises(RoundError, match=r"6,000,000 cases would be scored; .*evaluate_fraction"):
        demand_countable(study, few, 2, ("a", "b"))


def test_where_single_updates_are_read_cases_that_no_step_shows_are_not_counted() -> None:
    large, study = members(a=9_000_000, b=9_000_000), trained(steps=6, batch_size=10)
    demand_countable(replace(study, aggregation=Entry("plain")), large, 2, ())
    with pytest.raises(RoundError, match=r"18,000,000 cases"):
        demand_countable(replace(study, aggregation=Entry("secagg")), large, 2, ())
