"""A hospital's records: raw columns by name, of those who take part, the same ones that train."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.hospital import close_all, open_hospital
from client.records import left_out_of, records_of
from client.sources.heart import Heart
from common.asking.levels import levels_of
from common.errors import StudyError, UnknownNameError
from common.study.catalogue import SOURCES
from common.study.options import Entry
from common.study.study import Study, parse_json
from tests.client import source_makers

TABLE = """patient;age;weight;sex;bmi;ward;sick;consent
ann;61;70,5;f;22,5;east;yes;all
ann;62;71,5;F;n/a;east;yes;all
bob;-9;80;m;25;west;no;all
cem;40;;m;31,25;;no;all
dan;50;66;m;28;north;yes;none
eve;70;55;x;1;north;no;all
fay;33;60;f;20;south;no;all
"""
STUDY = {"title": "t", "rounds": 1, "seed": 1, "strategy": "fedavg", "aggregation": "plain"}
OPTIONS = {
    "person": "patient",
    "label": "sick",
    "classes": ["no", "yes"],
    "features": ["age", "weight", "sex"],
    "categorical": {"sex": ["f", "m"]},
    "impute": {"weight": 70},
    "scaling": {"age": {"center": 60, "spread": 10}},
    "keep": ["ward"],
    "asked": {"bmi": "number"},
}


def study_of(name: str, options: dict[str, Any], **others: Any) -> Study:
    task = {"name": "classification", "network": "logistic"}
    return parse_json(json.dumps({**STUDY, "source": {"name": name, **options}, "task": task, **others}))


def table(folder: Path, text: str = TABLE) -> Study:
    folder.mkdir(exist_ok=True)
    (folder / "A.csv").write_text(text)
    close_all()
    return study_of("table", {"folder": str(folder), **OPTIONS}, split={"validation": 0.0, "test": 0.3})


def test_a_tables_rows_are_as_they_were_written_and_those_that_train(tmp_path: Path) -> None:
    hospital = open_hospital(table(tmp_path / "data").json, 0)
    records = records_of(hospital)
    assert records.persons.tolist() == ["ann", "ann", "cem", "fay"] and records.site == "A"
    assert sorted(records.columns) == ["age", "bmi", "sex", "sick", "ward", "weight"]
    np.testing.assert_array_equal(records.numbers("weight"), [70.5, 71.5, np.nan, 60])
    np.testing.assert_array_equal(records.numbers("age"), [61, 62, 40, 33])
    np.testing.assert_array_equal(records.numbers("bmi"), [22.5, np.nan, 31.25, 20])
    assert records.words("sex").tolist() == ["f", "f", "m", "f"]
    assert records.words("ward").tolist() == ["east", "east", "", "south"]
    assert records.words("sick").tolist() == ["yes", "yes", "no", "no"]
    assert left_out_of(hospital).quarantined == 3


def test_whoever_withdrew_or_does_not_consent_is_in_no_record(tmp_path: Path) -> None:
    study = table(tmp_path / "data")
    assert "dan" not in records_of(open_hospital(study.json, 0)).persons
    hospital = open_hospital(study.json, 0, withdrawn=frozenset(["ann"]))
    assert records_of(hospital).persons.tolist() == ["cem", "fay"]


def test_parts_of_the_split_divide_the_persons(tmp_path: Path) -> None:
    hospital = open_hospital(table(tmp_path / "data").json, 0)
    parts = [set(records_of(hospital, part).persons.tolist()) for part in ("train", "validation", "test")]
    assert [set(hospital.splits[part].patients) for part in ("train", "validation", "test")] == parts
    assert sum(map(len, parts)) == 3


@pytest.mark.parametrize(
    "kind", [{"bmi": "numbr"}, {"bmi": ["a"]}, {"bmi": ["a", "a"]}, {"bmi": 3}, {"patient_id": "words"}]
)
def test_what_asked_may_say_is_checked_before_any_table_is_read(kind: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match=r"source.asked|did you mean 'number'"):
        SOURCES.build(Entry("table", {"asked": kind}))


def test_no_source_hands_on_who_the_persons_are_by_keep(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    table(folder)
    options = {**OPTIONS, "folder": str(folder), "keep": ["ward", "patient", "consent"]}
    source = SOURCES.build(Entry("table", options))
    assert sorted(source.records("A", 0).columns) == ["age", "bmi", "sex", "sick", "ward", "weight"]


def test_levels_are_the_studys_own_words_where_there_are_no_data() -> None:
    study = study_of("table", {"folder": "/nowhere", **OPTIONS, "asked": {"grade": ["2", "3"]}})
    assert levels_of(study) == {"grade": ("2", "3"), "sex": ("f", "m"), "sick": ("no", "yes")}
    assert levels_of(study_of("heart", {}))["sex"] == ("f", "m")
    assert levels_of(study_of("images", {"images": "{site}/{class}/*", "classes": ["a", "b"]})) == {
        "class": ("a", "b")
    }


def test_hearts_columns_are_ucis_and_what_is_missing_is(tmp_path: Path) -> None:
    (tmp_path / "processed.va.data").write_text(
        "63,1,4,145,233,1,2,150,0,2.3,?,0,6,3\n41,0,2,?,204,0,2,172,0,1.4,1,?,3,0\n"
    )
    records = Heart(str(tmp_path)).records("va", 0)
    assert len(records) == 1 and records.words("sex").tolist() == ["m"] and records.words("slope").tolist() == [""]
    assert records.numbers("chol")[0] == 233 and records.numbers("num")[0] == 3 and records.numbers("disease")[0] == 1
    with pytest.raises(UnknownNameError, match="did you mean 'chol'"):
        records.numbers("choll")


def test_times_and_events_are_numbers_however_a_table_writes_them(tmp_path: Path) -> None:
    (tmp_path / "A.csv").write_text("age,days,status\n61,100,dead\n70,20,alive\n50,,dead\n")
    options = {"features": ["age"], "target": "survival", "time": "days", "event": "status", "folder": str(tmp_path)}
    records = SOURCES.build(Entry("table", options)).records("A", 0)
    assert records.numbers("days").tolist() == [100, 20] and records.numbers("status").tolist() == [1, 0]


def test_a_partition_gives_every_hospital_its_own_persons(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    lines = [f"p{index};{20 + index};{'yn'[index % 2]}" for index in range(30)]
    (folder / "all.csv").write_text("\n".join(["person;age;sick", *lines]) + "\n")
    options = {"folder": str(folder), "file": "all.csv", "label": "sick", "classes": ["n", "y"]}
    study = study_of("table", options, partition={"name": "iid", "hospitals": 3})
    close_all()
    records = [records_of(open_hospital(study.json, index)) for index in range(3)]
    assert sorted(person for one in records for person in one.persons.tolist()) == sorted(f"p{i}" for i in range(30))
    assert len({one.site for one in records}) == 3


def participants(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    path = folder / "participants.tsv"
    lines = path.read_text().splitlines()
    facts = ["age\tsex", "61\tM", "n/a\tF", "45,5\tf", "70\tn/a", "33\tM", "5\tF"]
    path.write_text("\n".join(f"{line}\t{fact}" for line, fact in zip(lines, facts, strict=True)) + "\n")
    return options


def beside(name: str) -> Any:
    def added(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
        lines = (folder / name).read_text().splitlines()
        facts = ["age,sex", "61,M", "n/a,F", '"45,5",f', "70,n/a", "33,M", "5,F"]
        (folder / name).write_text("\n".join(f"{a},{b}" for a, b in zip(lines, facts, strict=True)) + "\n")
        return options

    return added


def image_table(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    rows = [
        f"{'AB'[i % 2]}/{kind}/p{i}_{kind}.png,{kind},{'AB'[i % 2]},p{i}"
        for i in range(6)
        for kind in ("ill", "well")
    ]
    facts = ["61,M", "n/a,F", '"45,5",f', "70,n/a", "33,M", "5,F"]
    lines = [f"{row},{facts[index // 2]}" for index, row in enumerate(rows)]
    (folder / "list.csv").write_text("\n".join(["path,label,site,person,age,sex", *lines]) + "\n")
    kept = {name: options[name] for name in ("folder", "classes", "size")}
    return {**kept, "table": "list.csv", "label": "label", "site": "site"}


SIDECARS = {"bids": participants, "nifti": beside("sites.csv"), "dicom": beside("persons.csv"), "images": image_table}


@pytest.mark.parametrize("name", SIDECARS)
def test_the_table_beside_images_tells_of_their_persons(name: str, tmp_path: Path) -> None:
    options: dict[str, Any] = getattr(source_makers, f"make_{name}")(tmp_path)[0]
    options = SIDECARS[name](tmp_path, options)
    asked = {"age": "number", "sex": ["M", "F"]}
    task = {"name": "classification" if name == "images" else "segmentation"}
    task["network"] = "logistic" if name == "images" else "unet"
    close_all()
    study = parse_json(json.dumps({**STUDY, "source": {"name": name, **options, "asked": asked}, "task": task}))
    records = records_of(open_hospital(study.json, 0)).one_a_person
    assert records.site == "A" and len(records) == 3
    facts = {tuple(one) for one in zip(records.words("age").tolist(), records.words("sex").tolist(), strict=True)}
    assert facts == {("61", "M"), ("45.5", "F"), ("33", "M")}
    assert levels_of(study)["sex"] == ("M", "F")
