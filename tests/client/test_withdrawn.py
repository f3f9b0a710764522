"""The list of who withdrew: names in one form, days that stay, and nothing answered from a list that is damaged."""

from __future__ import annotations

import json
from datetime import date
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest

from client.withdrawn import FILE, consent_again, withdraw, withdrawals, withdrawn, without
from common.data.cases import Cases
from common.errors import HospitalError

DAY, LATER = date(2031, 2, 3), date(2032, 3, 4)


def cases(names: list[str], **columns: np.ndarray) -> Cases:
    inputs = np.arange(len(names), dtype=np.float32)[:, None]
    return Cases.of(inputs, np.zeros(len(names), np.int64), names, ("a", "b"), **columns)


def test_the_list_is_the_owners_alone_and_both_days_stay(tmp_path: Path) -> None:
    assert withdraw(tmp_path, "müller", DAY) and not withdraw(tmp_path, "müller", LATER)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert withdrawn(tmp_path) == {"müller"}
    assert consent_again(tmp_path, "müller", LATER) and not consent_again(tmp_path, "müller", LATER)
    assert withdrawn(tmp_path) == frozenset()
    assert withdraw(tmp_path, "müller", LATER)
    assert [(one.since, one.again) for one in withdrawals(tmp_path)] == [
        ("2031-02-03", "2032-03-04"),
        ("2032-03-04", ""),
    ]


def test_all_scans_of_a_person_go_however_the_data_write_the_name() -> None:
    persons = ["Mu\u0308ller", "bob", "M\u00fcller ", "sub-04", "04"]
    assert without(cases(persons), frozenset(["müller"])).patients.tolist() == ["bob", "sub-04", "04"]
    assert without(cases(persons), frozenset(["04"])).patients.tolist() == ["Mu\u0308ller", "bob", "M\u00fcller "]


def test_a_case_of_two_persons_goes_with_either() -> None:
    both = cases(["ann+bob+cem"] * 3, persons=np.array(["ann\nbob", "bob\ncem", "cem\nann"]))
    assert without(both, frozenset(["ann"])).array("persons").tolist() == ["bob\ncem"]


def test_two_who_write_at_once_lose_nobody(tmp_path: Path) -> None:
    with ThreadPool(8) as pool:
        pool.map(lambda number: withdraw(tmp_path, f"p{number}", DAY), range(24))
    assert withdrawn(tmp_path) == {f"p{number}" for number in range(24)}


WHOLE = {"person": "ann", "since": "2031-02-03", "again": ""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "\x00",
        "{" * 9999,
        json.dumps({"format": 2, "withdrawn": []}),
        json.dumps({"format": 1, "withdrawn": {"ann": 1}}),
        json.dumps({"format": 1, "withdrawn": [{**WHOLE, "person": "Ann"}]}),
        json.dumps({"format": 1, "withdrawn": [{**WHOLE, "person": ["ann"]}]}),
        json.dumps({"format": 1, "withdrawn": [{**WHOLE, "since": "yesterday"}]}),
        json.dumps({"format": 1, "withdrawn": [{**WHOLE, "more": 1}]}),
        json.dumps({"format": 1, "withdrawn": [{**WHOLE, "person": "a" * 2000}]}),
    ],
)
def test_a_list_that_is_not_as_it_was_written_stops_every_answer(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(HospitalError, match="not as it was written"):
        withdrawn(tmp_path)
    with pytest.raises(HospitalError, match="not as it was written"):
        withdraw(tmp_path, "bob", DAY)
    assert (tmp_path / FILE).read_text() == text


def test_a_link_in_the_place_of_the_list_is_not_followed(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "other.json").write_text(json.dumps({"format": 1, "withdrawn": []}))
    (own / FILE).symlink_to(tmp_path / "other.json")
    with pytest.raises(HospitalError, match="not as it was written"):
        withdrawn(own)
