"""A study of real numbers in tables: what hospitals tell of them, and what attacks on classes say to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.handlers import RequestContext, hello
from client.hospital import Hospital, open_hospital
from client.partitions._patients import patients_of
from common.data.cases import Cases
from common.errors import RoundError
from common.learning.abilities import no_soft_loss
from common.study.catalogue import TASKS
from common.study.options import Entry
from common.study.study import Study, parse
from common.sums.exchange import Payload
from experiments.evidence.poisoned_app import _turned
from server.members import disagreeing, member

STUDY = """
title = "days in hospital"
rounds = 1
source = { name = "table", target = "number", label = "days", decimal = "." }
task = { name = "regression", center = 7, spread = 3 }
strategy = "fedavg"
"""


def study_of(folder: Path) -> Study:
    for site in ("Köln", "Boston"):
        rows = "".join(f"{40 + index},{3 + index % 7}\n" for index in range(20))
        (folder / f"{site}.csv").write_text(f"age,days\n{rows}", encoding="utf-8")
    return parse(STUDY, [f"source.folder={folder}"])


def said(hospital: Hospital) -> Payload:
    return hello(hospital, Payload(None), RequestContext({}, None, None))  # type: ignore[arg-type]


def test_a_hospital_of_numbers_tells_no_counts_of_labels(tmp_path: Path) -> None:
    text = study_of(tmp_path).json
    members = {one.site: one for one in (member(said(open_hospital(text, index))) for index in range(2))}
    assert sorted(members) == ["Boston", "Köln"]
    assert (members["Köln"].labels, members["Köln"].classes, members["Köln"].shape.classes) == ((), (), 0)
    assert sum(members["Köln"].cases.values()) == 20
    assert disagreeing(members) == {}
    odd = replace(members["Köln"], classes=("a", "b"), shape=replace(members["Köln"].shape, classes=2))
    with pytest.raises(RoundError, match="numbers to learn, no classes"):
        disagreeing({"Boston": members["Boston"], "Köln": odd})


def test_a_deployed_hospital_needs_no_table_but_its_own(tmp_path: Path) -> None:
    text = study_of(tmp_path).json
    (own := tmp_path / "own").mkdir()
    (tmp_path / "Köln.csv").rename(own / "Köln.csv")
    hospital = open_hospital(text, 0, str(own))
    assert (hospital.site, len(hospital.train)) == ("Köln", 13)


def test_deployed_hospitals_whose_columns_are_called_otherwise_do_not_pass_for_the_same(tmp_path: Path) -> None:
    text = study_of(tmp_path).json
    members = []
    for site in ("Boston", "Köln"):
        (own := tmp_path / f"own-{site}").mkdir()
        table = (tmp_path / f"{site}.csv").read_text(encoding="utf-8")
        (own / f"{site}.csv").write_text(table.replace("age", "weight") if site == "Köln" else table, "utf-8")
        members.append(member(said(open_hospital(text, 0, str(own)))))
    with pytest.raises(RoundError, match=r"source\.features names them"):
        disagreeing({one.site: one for one in members})


@pytest.mark.parametrize(
    ("name", "options", "searchable"),
    [
        ("classification", {}, True),
        ("regression", {"center": 0, "spread": 1}, False),
        ("survival", {"cuts": [1]}, False),
    ],
)
def test_a_search_for_classes_says_that_numbers_have_none(
    name: str, options: dict[str, object], searchable: bool
) -> None:
    assert (no_soft_loss(TASKS.build(Entry(name, options))) == "") is searchable


def test_a_poisoner_turns_numbers_to_the_other_side_of_their_mean() -> None:
    cases = Cases.of(np.zeros((3, 1), np.float32), np.float32([1, 2, 6]), ["a", "b", "c"])
    assert _turned(cases).tolist() == [5, 4, 0]


def test_a_partition_by_label_divides_numbers_by_terciles() -> None:
    cases = Cases.of(np.zeros((6, 1), np.float32), np.float32([5, 1, 9, 2, 8, 4]), list("abcdef"))
    assert patients_of(cases, 2).labels.tolist() == [1, 0, 2, 0, 2, 1]
