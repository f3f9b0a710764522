"""Spread and rank of features from sums: worked out by hand, and laws that any features obey."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from common.metrics.intervals import MOMENT, with_intervals
from common.metrics.roc import with_auc
from common.selfsupervision.health import SKETCHED, feature_sums, presented_health, sketched
from common.sums.mean import Mean, merge


def shown(sums: Mapping[str, Mean]) -> dict[str, float | None]:
    return presented_health(with_auc(sums))


def drawn(seed: int, cases: int, width: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(cases, width)))


def by_hand(features: Tensor) -> tuple[float, float]:
    """Spread and effective rank of all numbers of the features, without a sketch."""
    unit = (features / features.norm(dim=1, keepdim=True)).numpy()
    values = np.linalg.eigvalsh(np.cov(unit.T, bias=True)).clip(min=0)
    shares = values[values > 0] / values.sum()
    return math.sqrt(values.sum()), math.exp(-(shares * np.log(shares)).sum())


def test_two_orthogonal_features_spread_in_one_direction() -> None:
    found = shown(feature_sums(torch.eye(2, 5).double()))
    assert found["spread"] == pytest.approx(math.sqrt(1 / 2)) and found["effective_rank"] == pytest.approx(1)


@pytest.mark.parametrize("count", [3, 5, 8])
def test_so_many_orthogonal_features_spread_in_one_direction_less(count: int) -> None:
    found = shown(feature_sums(torch.eye(count, 10).double() * 7))
    assert found["spread"] == pytest.approx(math.sqrt(1 - 1 / count))
    assert found["effective_rank"] == pytest.approx(count - 1)


def test_cases_that_are_one_have_no_spread_whatever_they_are() -> None:
    found = shown(feature_sums(drawn(0, 1, 300).expand(50, -1)))
    assert found["spread"] == pytest.approx(0, abs=2e-5)


def test_a_dead_encoder_has_no_spread_and_no_rank() -> None:
    assert shown(feature_sums(torch.zeros(9, 40))) == {"spread": 0.0, "effective_rank": None}


def test_features_that_are_no_numbers_are_not_measured() -> None:
    assert shown(feature_sums(torch.full((9, 40), torch.nan))) == {"spread": None, "effective_rank": None}


def test_a_spread_far_below_that_of_an_untrained_network_is_still_measured() -> None:
    features = torch.ones(200, 60).double() + 1e-4 * drawn(1, 200, 60)
    assert shown(feature_sums(features))["spread"] == pytest.approx(by_hand(features)[0], rel=0.2)


@given(st.integers(0, 50), st.integers(2, 40), st.integers(2, SKETCHED))
@settings(max_examples=30, deadline=None)
def test_few_features_are_summed_whole_and_however_they_are_turned(seed: int, cases: int, width: int) -> None:
    features = drawn(seed, cases, width)
    turn, _ = torch.linalg.qr(drawn(seed + 1, width, width))
    spread, rank = by_hand(features)
    for one in (features, 3 * features @ turn):
        found = shown(feature_sums(one))
        assert found["spread"] == pytest.approx(spread, rel=1e-4, abs=1e-4)
        assert spread < 1e-3 or found["effective_rank"] == pytest.approx(rank, rel=1e-3)


@given(st.integers(0, 50), st.lists(st.integers(1, 9), min_size=2, max_size=5))
@settings(max_examples=20, deadline=None)
def test_sums_of_hospitals_are_those_of_all_their_cases(seed: int, sizes: list[int]) -> None:
    features, answers = drawn(seed, sum(sizes), 40), drawn(seed + 1, sum(sizes), 7)
    parts = zip(features.split(sizes), answers.split(sizes), strict=True)
    merged = merge(feature_sums(one, answer=other) for one, other in parts)
    assert merged == feature_sums(features, answer=answers)


@given(st.integers(0, 50), st.sampled_from([16, 128, 700]))
@settings(max_examples=20, deadline=None)
def test_every_number_has_a_bound_that_its_width_gives(seed: int, width: int) -> None:
    columns = sketched(drawn(seed, 20, width), answer=drawn(seed, 20, width))
    assert max(float(one.abs().max()) for one in columns.values()) <= width / SKETCHED
    assert len(columns) == SKETCHED + SKETCHED * (SKETCHED + 1) // 2 + SKETCHED + 1


def test_a_sketch_of_many_features_tells_the_spread_and_few_directions() -> None:
    wide = torch.ones(400, 512).double() + drawn(3, 400, 2) @ drawn(4, 2, 512) / 10
    spread, rank = by_hand(wide)
    found = shown(feature_sums(wide))
    assert found["spread"] == pytest.approx(spread, rel=0.4)
    assert found["effective_rank"] == pytest.approx(rank, rel=0.3)


def test_what_is_answered_beside_has_a_spread_of_its_own_name() -> None:
    found = shown(feature_sums(torch.eye(2, 5), answer=torch.ones(2, 3), projection=torch.eye(2, 9)))
    assert found["answer_spread"] == pytest.approx(0, abs=1e-5)
    assert found["projection_spread"] == pytest.approx(math.sqrt(1 / 2))


def test_moments_are_no_scores_and_have_no_intervals() -> None:
    sums = feature_sums(drawn(0, 9, 40), answer=drawn(1, 9, 40))
    assert all(name.startswith(MOMENT) for name in sums) and with_intervals([*sums, "loss"]) == ("loss",)


def test_scores_of_other_tasks_are_shown_as_they_are() -> None:
    assert presented_health({"loss": 0.5, "accuracy": None}) == {"loss": 0.5, "accuracy": None}
