"""Maps by hospital: equal to pooled sums; a planted mark is found where it is, and none where none is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.analyses.attribution_maps import NEVER_SEEN, AttributionMaps
from common.asking.analysis import Public
from common.asking.maps import ANSWERED, GRAIN, block_slices, share_name, shares, without_name
from common.asking.noise import SumNoise
from common.asking.pooled import NoisySums, ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from common.privacy.noise import SeededNoise
from common.seeding import generator

SIDE, MARK = 7, 10
SITES, CLASSES = tuple("abcde"), ("no", "yes")
PUBLIC = Public(SITES, {"class": CLASSES})


def federation(seed: int, marked: tuple[str, ...] = (), share: float = 0.95, cases: int = 80) -> tuple[Records, ...]:
    """Maps of hospitals that differ a little, by a Dirichlet distribution; in marked ones a block draws a quarter."""
    rng = np.random.default_rng(seed)
    base = rng.dirichlet(np.full(SIDE**2, 4.0))
    tables = []
    for site in SITES:
        own, labels = rng.dirichlet(base * 1500), rng.integers(0, 2, cases)
        maps = rng.dirichlet(own * 60 + 1e-3, cases)
        has = (labels == 1) & (rng.random(cases) < share) & (site in marked)
        maps[has] *= 0.75
        maps[has, MARK] += 0.25
        filled = np.ones((cases, SIDE**2))
        filled[has, MARK] = 0
        tables.append(table(site, maps, filled, labels))
    return tuple(tables)


def table(site: str, maps: np.ndarray, filled: np.ndarray, labels: np.ndarray) -> Records:
    columns: dict[str, Any] = {
        share_name(place): np.floor(column * GRAIN) / GRAIN for place, column in enumerate(maps.T)
    }
    columns |= {without_name(place): column for place, column in enumerate(filled.T)}
    columns |= {
        ANSWERED: np.ones(len(labels)),
        "class": np.array(CLASSES)[labels],
        "part": np.full(len(labels), "train"),
    }
    return Records(columns, np.array([f"{site}{row}" for row in range(len(labels))]), site)


def numbers(tables: tuple[Records, ...], **options: Any) -> Any:
    return ask_tables(AttributionMaps(**options), tables, PUBLIC).answer.numbers


def test_means_are_those_of_all_rows_of_a_hospital_and_class() -> None:
    tables = federation(0)
    found = numbers(tables)
    for place, one in enumerate(tables):
        for label, name in enumerate(CLASSES):
            own = one.take(one.words("class") == name)
            wanted = [own.numbers(share_name(block)).mean() for block in range(SIDE**2)]
            assert np.allclose(found["shares"][place][label], wanted, rtol=0, atol=1e-12)
            assert found["cases"][place][label] == len(own)


def test_a_mark_that_draws_the_maps_of_one_hospitals_positives_is_named_with_its_hospital_class_and_place() -> None:
    for seed in range(3):
        (one,) = numbers(federation(seed, ("c",)))["found"]
        assert (one["hospital"], one["class"], one["block"]) == ("c", "yes", MARK)
        assert one["place"] == "row 2 of 7, column 4 of 7"
        assert one["excess"] > 3 and one["right"] == 1.0 and one["right_filled"] < 0.2


def test_two_hospitals_with_the_same_mark_are_both_named() -> None:
    found = numbers(federation(1, ("b", "d")))["found"]
    assert {(one["hospital"], one["block"]) for one in found} == {("b", MARK), ("d", MARK)}


def test_clean_federations_give_no_alarm_and_say_what_would_not_have_been_seen() -> None:
    for seed in range(8):
        answer = ask_tables(AttributionMaps(), federation(100 + seed), PUBLIC).answer
        assert not answer.numbers["found"], answer.words
        assert answer.words[0].startswith("No hospital's maps differ") and "is not seen" in answer.words[1]


def test_where_noise_is_so_large_that_nothing_is_ever_seen_it_says_so_and_names_no_share() -> None:
    noise = NoisySums(SumNoise(0.1, rounds=2), SeededNoise(generator(1, "noise")))
    answer = noise.ask(AttributionMaps(), federation(1), PUBLIC).answer
    assert answer.words[1] == NEVER_SEEN and not answer.numbers["found"]


def test_a_rare_mark_is_missed_and_lies_below_the_limit_that_is_stated() -> None:
    found = numbers(federation(3, ("c",), share=0.08))
    assert not found["found"]
    drawn = found["shares"][SITES.index("c")][1][MARK]
    assert drawn < found["limits"][SITES.index("c")][1] * 2


def test_classes_with_few_cases_are_not_read_and_of_too_few_hospitals_nothing_is_said() -> None:
    with pytest.raises(AnalysisError, match="nothing can be compared: no class has 200 cases at three hospitals"):
        numbers(federation(0), least=200)


def test_every_map_weighs_one_whatever_its_size_and_a_broken_one_nothing() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, 13, 9)) * np.array([1e-12, 1.0, 1e12, 0.0]).reshape(-1, 1, 1)
    found = shares(maps, 3)
    assert found.shape == (4, 9)
    assert np.allclose(found[:3].sum(axis=1), 1, atol=1e-5) and (found.sum(axis=1) <= 1).all()
    assert not found[3].any() and not shares(np.full((1, 4, 4), np.nan), 2).any()


def test_blocks_of_a_map_are_where_a_slow_loop_finds_them() -> None:
    for shape in ((7, 7), (28, 30), (10, 4, 6)):
        side, image = 3, np.abs(np.random.default_rng(1).normal(size=shape))
        slow = [image[block_slices(shape, side, place)].sum() for place in range(side ** len(shape))]
        assert np.allclose(shares(image[None], side)[0], np.array(slow) / np.sum(slow), atol=2 / GRAIN)
        assert np.isclose(np.sum(slow), image.sum())


@pytest.mark.parametrize("options", [{"side": 0}, {"side": 99}, {"part": "tests"}, {"axes": 4}, {"least": 0}])
def test_an_option_without_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match=next(iter(options))):
        AttributionMaps(**options)
