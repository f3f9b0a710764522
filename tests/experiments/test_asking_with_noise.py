"""Noisy questions end to end: shares under masks, intervals that allow for noise, rounds that hospitals follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.study.plugins import ANYTHING, trusting
from common.study.study import Study, parse
from experiments.asking.spoken import question_of
from experiments.engines._quiet import ask_quietly

SITES = ("north", "south", "west")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 900 persons, a file of each hospital."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("noisy")
    ages = np.round(rng.normal(54, 9, 900))
    rows = [f"p{k};{ages[k]:g};{'fm'[k % 2]}" for k in range(900)]
    for place, site in enumerate(SITES):
        (folder / f"{site}.csv").write_text("\n".join(["person;age;sex", *rows[place::3]]) + "\n")
    return folder


def study_of(data: Path, aggregation: str) -> Study:
    text = f"""
title = "Three hospitals"
rounds = 1
task = {{ name = "classification", network = "logistic" }}
aggregation = "{aggregation}"
engine = "inline"

[source]
name = "table"
folder = "{data}"
person = "person"
label = "sex"
classes = ["f", "m"]
features = ["age"]

[federation]
dropout_wait_s = 0.0
round_timeout_s = 60.0
"""
    with trusting(ANYTHING):
        return parse(text, [])


def answers(data: Path, folder: Path, aggregation: str, *questions: Any) -> list[dict[str, Any]]:
    with trusting(ANYTHING):
        found = ask_quietly(study_of(data, aggregation), folder, list(questions))
    assert all(one["state"] == "answered" for one in found["answers"]), found["answers"]
    return [one["numbers"] for one in found["answers"]]


def noisy(words: str, epsilon: float, delta: float = 0.0, **options: Any) -> Any:
    return question_of(words.split(), options=options, epsilon=epsilon, delta=delta)


def test_a_private_median_is_found_by_rounds_that_hospitals_follow(data: Path, tmp_path: Path) -> None:
    asked = (
        noisy("private_quantile age", 2.0, low=0, high=120),
        noisy("private_quantile age", 2.0, 1e-6, low=0, high=120),
    )
    for one in answers(data, tmp_path / "median", "secagg", *asked):
        assert abs(one["quantile"] - 54) < 3 and one["low"] <= 54 <= one["high"]
        assert one["high"] - one["low"] < 120 and one["rounds"] == 5


def test_intervals_allow_for_the_noise_and_more_of_it_where_single_answers_are_read(
    data: Path, tmp_path: Path
) -> None:
    def width(aggregation: str, epsilon: float) -> float:
        question = noisy("bounded_mean age", epsilon, low=0, high=120)
        (found,) = answers(data, tmp_path / f"{aggregation}-{epsilon}", aggregation, question)
        assert abs(found["mean"] - 54) < 20
        return float(found["high"] - found["low"])

    exact, masked, plain = width("secagg", 1e6), width("secagg", 0.1), width("plain", 0.1)
    assert exact == pytest.approx(2 * 1.96 * 9 / 30, rel=0.1)
    assert masked > 2 * exact and 1.4 * masked < plain < 2.1 * masked, "sqrt(3) times the noise of one curator"


def test_groups_share_one_epsilon_and_each_knows_its_noise(data: Path, tmp_path: Path) -> None:
    grouped, whole = answers(
        data,
        tmp_path / "groups",
        "secagg",
        noisy("bounded_mean age by sex", 0.5, low=0, high=120),
        noisy("bounded_mean age", 0.5, low=0, high=120),
    )
    by_sex = grouped["groups"]
    for one in by_sex.values():
        wide = one["high"] - one["low"]
        assert abs(one["mean"] - 54) < 5 and 1.2 < wide / (whole["high"] - whole["low"]) < 2.6
