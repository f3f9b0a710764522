"""`wardround anonymise` in the same process: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from common.analyses.mondrian import Mondrian
from common.asking.pooled import ask_tables
from common.asking.records import Records
from experiments.cli import cli

PAINS = ("typical", "atypical", "none", "other")


def written(place: Path, rows: int = 60, seed: int = 0, header: str = "patient_id,age,born,pain,chol,sick") -> Path:
    rng = np.random.default_rng(seed)
    lines = [
        f"P{seed}-{at},{rng.integers(30, 70)},19{rng.integers(30, 70)}-0{rng.integers(1, 9)}-11,"
        f"{PAINS[rng.integers(4)]},{rng.integers(150, 350)},{'yes' if rng.random() < 0.5 else 'no'}"
        for at in range(rows)
    ]
    place.write_text("\n".join([header, *lines]) + "\n")
    return place


def anonymised(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["anonymise", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(done.output.replace("\xa0", " ").split())


def rows_in(folder: Path) -> list[dict[str, str]]:
    with (folder / "release.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_row_is_alike_with_k_others_and_names_are_left_out(tmp_path: Path) -> None:
    table, out = written(tmp_path / "a.csv"), tmp_path / "out"
    code, said = anonymised(
        table, "-q", "age", "-q", "pain", "--sensitive", "sick", "--side", "chol=5", "--folder", out
    )
    assert code == 0 and "Not released, since it seems to say who somebody is: patient_id" in said
    rows = rows_in(out)
    assert min(Counter((row["age"], row["pain"]) for row in rows).values()) >= 5 and "patient_id" not in rows[0]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["rows"] == 60 and summary["achieved"]["k"] >= 5 and summary["side_knowledge"] == {"chol": 5}
    page = (out / "anonymity.html").read_text()
    assert "epsilon 1" in page and "people found" in page and "P0-" not in page


def test_the_order_of_rows_tells_nothing(tmp_path: Path) -> None:
    table, outs = written(tmp_path / "a.csv"), (tmp_path / "one", tmp_path / "two")
    head, *lines = table.read_text().splitlines()
    (tmp_path / "b.csv").write_text("\n".join([head, *reversed(lines)]) + "\n")
    for name, out in zip(("a.csv", "b.csv"), outs, strict=True):
        assert anonymised(tmp_path / name, "-q", "age", "--folder", out)[0] == 0
    assert (outs[0] / "release.csv").read_text() == (outs[1] / "release.csv").read_text()


def test_days_are_released_as_ranges_of_days(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert anonymised(written(tmp_path / "a.csv"), "-q", "born", "--folder", out)[0] == 0
    first, _, last = rows_in(out)[0]["born"].partition(" to ")
    assert first.startswith("19") and last.startswith("19") and first < last


def test_words_have_groups_or_an_order_and_a_distance_of_their_tree(tmp_path: Path) -> None:
    table, meanings, out = written(tmp_path / "a.csv"), tmp_path / "h.toml", tmp_path / "out"
    meanings.write_text('[pain]\nangina = ["typical", "atypical"]\nelse = ["none", "other"]\n')
    ask = (table, "-q", "age", "--hierarchy", meanings, "--folder", out, "--sensitive", "pain")
    code, said = anonymised(*ask, "--distance", "hierarchical", "--t", "0.3")
    assert code == 0, said
    assert json.loads((out / "summary.json").read_text())["achieved"]["t"] <= 0.3
    code, said = anonymised(table, "-q", "age", "--sensitive", "sick", "--distance", "hierarchical", "--t", "0.3")
    assert code == 1 and "--hierarchy" in said
    meanings.write_text('pain = ["none", "other", "atypical", "typical"]\n')
    assert anonymised(table, "-q", "pain", "-q", "age", "--hierarchy", meanings, "--folder", out)[0] == 0
    meanings.write_text('pain = ["none", "other"]\n')
    code, said = anonymised(table, "-q", "pain", "--hierarchy", meanings)
    assert code == 1 and "'atypical'" in said


def test_k_is_of_persons_where_some_have_several_rows(tmp_path: Path) -> None:
    table, out = tmp_path / "visits.csv", tmp_path / "out"
    lines = [f"P{at // 3},{30 + at % 40},{at}" for at in range(90)]
    table.write_text("\n".join(["patient_id,age,chol", *lines]) + "\n")
    code, said = anonymised(table, "-q", "age", "--k", 3)
    assert code == 1 and "--person patient_id" in said
    assert (
        anonymised(table, "-q", "age", "--k", 3, "--person", "patient_id", "--keep", "chol", "--folder", out)[0] == 0
    )
    person = {line.split(",")[2]: line.split(",")[0] for line in lines}
    held: dict[str, set[str]] = {}
    for row in rows_in(out):
        held.setdefault(row["age"], set()).add(person[row["chol"]])
    assert len(held) > 1 and min(map(len, held.values())) >= 3


def test_numbers_that_all_differ_are_left_out_unless_they_are_kept(tmp_path: Path) -> None:
    table, out = tmp_path / "a.csv", tmp_path / "out"
    table.write_text("\n".join(["record,age", *(f"{7000 + 13 * at},{30 + at % 9}" for at in range(30))]) + "\n")
    assert "who somebody is: record" in anonymised(table, "-q", "age", "--folder", out)[1]
    assert "record" not in rows_in(out)[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-q", "age", "--k", "61"), "do not keep k = 61"),
        (("-q", "agee"), "did you mean 'age'"),
        ((), "--quasi age"),
        (("-q", "age", "--drop", "age"), "two purposes"),
        (("-q", "age", "--l", "2"), "--sensitive"),
        (("-q", "age", "--side", "chol=much"), "chol=10"),
        (("-q", "age", "--side", "pain=2"), "--side pain"),
        (("-q", "age", "--suppress", "1"), "below 1"),
        (("-q", "age", "--epsilon", "0"), "epsilon"),
        (("-q", "age", "--diversity", "recursiv"), "recursive"),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    code, output = anonymised(written(tmp_path / "a.csv"), *words)
    assert code == 1 and said in output


@pytest.mark.parametrize(
    "content",
    [b"", b"age,sick\n", b"age,age\n1,2\n", b"\x00\xff\xfe\n\x00", b"age,sick\n,\n,\n", b"age,sick\n1\n1,2,3\n"],
)
def test_a_hostile_or_empty_file_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    code, said = anonymised(tmp_path / "a.csv", "-q", "age")
    assert code == 1 and len(said) > 20


def test_one_row_is_released_where_one_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("age,sick\n50,yes\n")
    code, said = anonymised(tmp_path / "a.csv", "-q", "age", "--k", 1, "--side", "sick", "--folder", tmp_path / "out")
    assert code == 0 and "1 (100 %)" in said


def test_hospitals_release_their_own_rows_by_the_partition_of_all(tmp_path: Path) -> None:
    tables = [written(tmp_path / f"{seed}.csv", 40, seed) for seed in (1, 2)]
    records = []
    for at, table in enumerate(tables):
        rows = list(csv.DictReader(table.read_text().splitlines()))
        columns = {
            "age": np.array([float(row["age"]) for row in rows]),
            "pain": np.array([row["pain"] for row in rows]),
        }
        records.append(Records(columns, np.array([row["patient_id"] for row in rows]), f"{at}"))
    asked = ask_tables(Mondrian(("age", "pain"), {"age": (30, 70, 1)}, {"pain": PAINS}, k=6), records)
    numbers = json.loads(json.dumps(asked.answer.numbers))
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps({"answers": [{"question": {"name": "mondrian"}, "numbers": numbers}]}))
    released: Counter[tuple[str, str]] = Counter()
    for at, table in enumerate(tables):
        code, said = anonymised(table, "--partition", answer, "--folder", tmp_path / f"out{at}")
        assert code == 0 and "in this one alone" in said
        released.update((row["age"], row["pain"]) for row in rows_in(tmp_path / f"out{at}"))
    assert min(released.values()) >= 6
    assert released == Counter({(one["age"], one["pain"]): one["rows"] for one in numbers["groups"]})


@pytest.mark.parametrize("spoilt", ["tree", "ends", "columns", "nothing"])
def test_a_partition_that_is_none_is_refused(tmp_path: Path, spoilt: str) -> None:
    people = Records({"age": np.arange(40.0, 60)}, np.arange(20).astype(np.str_))
    numbers = json.loads(json.dumps(ask_tables(Mondrian(("age",), {"age": (30, 70, 1)}), [people]).answer.numbers))
    numbers["partition"][spoilt] = {
        "tree": {"column": [0, 0, 0], "cut": [1, 1, 1], "child": [1, 0, 0]},
        "ends": [[10**30, [0], [1], 5]],
        "columns": [{"name": "age", "words": [1, 2], "groups": {}}],
    }.get(spoilt)
    found = {"answers": [] if spoilt == "nothing" else [{"question": {"name": "mondrian"}, "numbers": numbers}]}
    (tmp_path / "answer.json").write_text(json.dumps(found))
    code, said = anonymised(written(tmp_path / "a.csv"), "--partition", tmp_path / "answer.json")
    assert code == 1 and "partition" in said + "partition" * (spoilt == "nothing")
