"""Differences of sums: what two sums, a lost hospital or many rounds told of a single one, and no longer do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums.aggregations._session_state import SITES
from common.sums.cohort import Cohort, Groups
from common.sums.exchange import Payload
from common.sums.update import Update
from experiments.engines._loopback_exchange import InMemoryExchange, collect, expected_of, random_updates

LENGTH = 200
HOSPITALS = 6
VICTIM = "hospital-00"
WAYS = ("secagg", "additive", "bfv")
"""Whose hospitals check what is opened; where hospitals share one key the coordinator is trusted."""


def updates() -> dict[str, Update]:
    return random_updates(HOSPITALS, LENGTH, np.random.default_rng(5))


def exchange(way: str, groups: Groups, folder: Path | None = None) -> InMemoryExchange:
    return InMemoryExchange(AGGREGATIONS.build(Entry(way)), updates(), folder=folder, groups=groups, fewest=3)


def cheating(played: InMemoryExchange, without: set[str], model: float = 0.0) -> NDArray[np.float64] | None:
    """A coordinator that counts on its own: hospitals are "lost", and whatever is left is opened."""
    order = Payload(np.full(LENGTH, model, np.float32), words={"study": "{}"})
    honest = expected_of(played.updates)
    expected = replace(honest, cohort=Cohort(honest.cohort.sites))
    played.gone, played.lost = set(), {"round": without}
    collected = played.aggregation.collect(played, dict.fromkeys(played.updates, order), frozenset(), expected)
    return None if collected.total is None else collected.total.vectors[0]


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.mark.parametrize("way", ["secagg", "bfv"])
def test_without_groups_two_sums_give_the_victim_away(way: str) -> None:
    """The control: where groups are off, the exploit works; it needs two models alike, or two runs."""
    played = exchange(way, ())
    everybody, others = cheating(played, set()), cheating(played, {VICTIM}, model=1e-6)
    assert everybody is not None and others is not None
    assert cosine(everybody - others, played.updates[VICTIM].vectors[0]) > 0.99999


@pytest.mark.parametrize("way", WAYS)
def test_a_sum_without_one_hospital_is_not_opened(way: str) -> None:
    everybody = (tuple(sorted(updates())),)
    played = exchange(way, everybody)
    assert cheating(played, set()) is not None
    assert cheating(played, {VICTIM}, model=1.0) is None


@pytest.mark.parametrize("way", ["secagg", "bfv"])
def test_only_unions_of_whole_groups_are_opened(way: str) -> None:
    names = sorted(updates())
    played = exchange(way, (tuple(names[:3]), tuple(names[3:])))
    played.aggregation = AGGREGATIONS.build(Entry(way, {"threshold": 4}))
    assert cheating(played, {names[0]}) is None
    assert cheating(played, {names[0], names[3]}, model=1.0) is None
    assert cheating(played, set(), model=2.0) is not None


@pytest.mark.parametrize("way", WAYS)
def test_a_colluder_that_calls_others_lost_opens_no_smaller_sum(way: str) -> None:
    """With one colluder, a cohort of three of which one is "lost" told the other in one round."""
    few = {site: update for site, update in updates().items() if site < "hospital-03"}
    played = replace(exchange(way, (tuple(few),)), updates=few)
    assert cheating(played, {"hospital-02"}) is None


@pytest.mark.parametrize("way", WAYS)
def test_another_cohort_than_the_studys_is_refused_before_any_key_is_made(way: str) -> None:
    played = exchange(way, (tuple(sorted(updates())),))
    smaller = {site: update for site, update in played.updates.items() if site != VICTIM}
    expected = expected_of(smaller)
    order = Payload(np.zeros(LENGTH, np.float32), words={"study": "{}"})
    assert played.aggregation.collect(played, dict.fromkeys(smaller, order), frozenset(), expected).total is None
    assert {(site, leg) for site, leg, _ in played.refused} == {(site, "keys") for site in smaller}
    assert all("others were named" in reason for _, _, reason in played.refused)


def test_hospitals_sign_no_survivors_that_split_a_group() -> None:
    names = sorted(updates())
    played = exchange("secagg", (tuple(names),))

    def told(site: str, request: Payload) -> Payload:
        return replace(request, words={**request.words, SITES: names[1:]})

    honest = played.ask

    def ask(leg: str, requests: Mapping[str, Payload]) -> dict[str, Payload]:
        if leg != "survivors":
            return honest(leg, requests)
        return honest(leg, {site: told(site, request) for site, request in requests.items()})

    played.ask = ask  # type: ignore[method-assign]
    assert collect(played).total is None
    assert {site for site, leg, reason in played.refused if leg == "survivors" and "whole groups" in reason} == set(
        names[1:]
    )


@pytest.mark.parametrize("way", WAYS)
def test_one_model_is_opened_with_one_set_in_any_run_and_study(way: str, tmp_path: Path) -> None:
    """Round 1 starts from the same model in every run, and in a study that differs in its title alone."""
    first = exchange(way, (), tmp_path)
    assert cheating(first, set()) is not None
    other_run = exchange(way, (), tmp_path)
    other_run.number = 9
    smaller = {site: update for site, update in updates().items() if site != VICTIM}
    other_run.updates = smaller
    assert cheating(other_run, set()) is None
    assert any("opened once" in reason for _, _, reason in other_run.refused)


def test_an_honest_coordinator_that_only_looks_learns_of_groups_alone() -> None:
    """Least squares over 12 rounds of whole groups: of single hospitals the sums say nothing beyond their group's."""
    rng = np.random.default_rng(2)
    own = {site: update.vectors[0] for site, update in updates().items()}
    names = sorted(own)
    groups = (names[:3], names[3:])
    seen, drawn = [], []
    for _ in range(12):
        chosen = [group for group in groups if rng.random() < 0.75] or list(groups)
        there = [site for group in chosen for site in group]
        drawn.append([float(site in there) for site in names])
        seen.append(np.sum([own[site] * (1 + 1e-3 * rng.normal()) for site in there], axis=0))
    solved, *_ = np.linalg.lstsq(np.array(drawn), np.array(seen), rcond=None)
    for place, site in enumerate(names):
        group = next(group for group in groups if site in group)
        alike = cosine(np.sum([own[other] for other in group], axis=0), own[site])
        assert cosine(solved[place], own[site]) == pytest.approx(alike, abs=0.02)
