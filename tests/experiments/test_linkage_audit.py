"""People are looked for in a release, and the audit says who was found and whether chance would find as many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.asking.records import Records
from common.errors import StudyError
from common.study.study import parse
from experiments.attack import Finding, Links
from experiments.attacks.linkage import Linkage, links_of
from experiments.audit.cast import cast_of
from experiments.audit.conduct import attacked
from experiments.audit.questions.linkage import FoundInARelease
from experiments.audit.records import Trial
from experiments.audit.run import Run
from experiments.audit.verdict import verdicts
from experiments.evidence.releases import AuditedRelease, Released, fitting, release_of_study
from wardround.testing import QuestionTests
from wardround.testing.audits import tiny_run

AGES = np.array([20.0, 21, 22, 30, 31, 32])
CHOLESTEROL = np.array([200.0, 205, 260, 180, 240, 300])
SICK = np.array(["yes", "yes", "no", "no", "no", "no"])


def words(*said: str) -> np.ndarray:
    return np.array(said, dtype=np.str_)


def six(side: dict[str, float]) -> Released:
    rows = {
        "age": words(*["20 to 22"] * 3, *["30 to 32"] * 3),
        "chol": words("200", "205", "260", "180", "240", "300"),
        "sick": SICK,
    }
    return Released(rows, ("age",), side, "sick", {"age": AGES, **({"chol": CHOLESTEROL} if side else {})})


def audited(rows: int, grouped: int, side: dict[str, float], seed: int = 0) -> AuditedRelease:
    """Everybody of their own age; released by tens of years or, with 1, as they are."""
    rng = np.random.default_rng(seed)
    ages, chol = np.arange(rows, dtype=float), rng.permutation(rows).astype(float) * 3
    sick = np.where(rng.random(rows) < 0.5, "yes", "no")
    low = (ages // grouped * grouped).astype(int)
    said = words(*[f"{a} to {a + grouped - 1}" if grouped > 1 else f"{a}" for a in low.tolist()])
    people = Records({"age": ages, "chol": chol, "sick": sick}, np.arange(rows).astype(np.str_))
    released = {"age": said, "chol": people.words("chol"), "sick": sick}
    known = {"age": ages, **({"chol": chol} if side else {})}
    sites = tiny_run(()).observed.sites
    return AuditedRelease(
        Released(released, ("age",), side, "sick", known), people, tuple(sites[at % len(sites)] for at in range(rows))
    )


def with_release(release: AuditedRelease) -> Run:
    return replace(tiny_run(()), release=release, seconds=5.0)


def tried(run: Run) -> tuple[list[Trial], set[str], tuple[int, int]]:
    """Trials, lights of the question, and planted faults seen, of this attack and question alone."""
    cast = cast_of(())
    alone = replace(
        cast, attacks={"linkage": cast.attacks["linkage"]}, questions={"linkage": cast.questions["linkage"]}
    )
    found = attacked(run, alone)
    given = verdicts(run.observed.sites, found.trials, run, alone, found.power)
    power = found.power[0] if found.power else None
    return (
        [one for one in found.trials if one.possible],
        {one.lights.get("linkage", "green") for one in given},
        (power.seen, power.of) if power else (0, 0),
    )


def test_whoever_is_left_alone_is_found_and_whose_kin_agree_is_told_by_hand() -> None:
    # Of the young, 200 and 205 fit each other and both are sick; 260 is alone. The old lie apart and are well.
    links = links_of(six({"chol": 10.0}))
    assert links.rows.tolist() == [-1, -1, 2, 3, 4, 5] and links.alike.tolist() == [3] * 6
    assert links.values == ("yes", "yes", "no", "no", "no", "no")
    alone = links_of(six({}))
    assert alone.rows.tolist() == [-1] * 6 and alone.values == ("", "", "", "no", "no", "no")


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("30 to 40", [True, False, True]),
        ("[30, 40)", [True, False, True]),
        ("30-40", [True, False, True]),
        ("40 or more", [False, True, True]),
        ("below 40", [True, False, True]),
        ("30 to below 60", [True, True, True]),
        ("unknown", [False, False, True]),
        ("unknown or 30", [True, False, True]),
        ("*", [True, True, True]),
        ("middle-aged", [True, True, True]),
    ],
)
def test_ranges_are_read_as_they_are_commonly_written(said: str, fits: list[bool]) -> None:
    assert fitting(said, np.array([30.0, 50.0, np.nan])).tolist() == fits


def test_words_sets_days_and_names_of_groups_are_read() -> None:
    assert fitting("{angina, none}", words("angina", "other")).tolist() == [True, False]
    assert fitting("other", words("angina", "other")).tolist() == [False, True]
    assert fitting("some group", words("angina", "other")).tolist() == [True, True]
    assert fitting("1950-01-01 to 1960-01-01", words("1955-03-02", "1970-01-01", "")).tolist() == [True, False, True]


def test_side_knowledge_finds_people_in_spite_of_k_and_a_planted_release_is_seen() -> None:
    trials, lights, power = tried(with_release(audited(90, 10, {"chol": 1.0})))
    assert sum(one.figures["rows_right"] for one in trials) == 90
    assert sum(one.figures["rows_right_by_chance"] for one in trials) == pytest.approx(9)
    assert lights == {"red"} and power == (1, 1)


def test_a_release_that_keeps_k_is_green_for_whoever_knows_no_more() -> None:
    trials, lights, power = tried(with_release(audited(90, 10, {})))
    assert sum(one.figures["rows_claimed"] for one in trials) == 0
    assert lights == {"green"} and power == (1, 1)


def test_rows_of_strangers_that_seem_to_fit_are_no_finding() -> None:
    mine, others = audited(60, 10, {"chol": 0.5}), audited(60, 10, {"chol": 0.5}, seed=5)
    strangers = replace(mine, released=replace(mine.released, rows=others.released.rows))
    trials, lights, _ = tried(with_release(strangers))
    assert sum(one.figures["rows_claimed"] for one in trials) >= sum(one.figures["rows_right"] for one in trials)
    assert lights == {"green"}


def test_a_group_of_one_diagnosis_tells_it() -> None:
    release = audited(90, 10, {})
    alike = words(*np.where(np.arange(90) // 10 % 2 == 0, "yes", "no").tolist())
    people = replace(release.people, columns={**release.people.columns, "sick": alike})
    released = replace(release.released, rows={**release.released.rows, "sick": alike})
    trials, lights, _ = tried(with_release(replace(release, released=released, people=people)))
    assert sum(one.figures["values_right"] for one in trials) == 90 and lights == {"red"}


def test_what_was_found_is_for_a_page() -> None:
    run = with_release(audited(90, 10, {"chol": 1.0}))
    trials, _, _ = tried(run)
    question = FoundInARelease()
    assert question.answer(trials).startswith("Of 90 people 90 ")
    shown = question.figure(SimpleNamespace(trials=trials))  # type: ignore[arg-type]
    assert shown is not None and "by chance" in str(shown)


def test_a_release_that_is_named_is_looked_for_in_the_hospitals_records(tmp_path: Path) -> None:
    for site in ("north", "south"):
        lines = [f"{site}{i},{20 + i},{'m' if i % 2 else 'f'},{200 + i},{i % 2}" for i in range(40)]
        (tmp_path / f"{site}.csv").write_text("patient_id,age,sex,chol,sick\n" + "\n".join(lines) + "\n")
    source = 'name = "table", label = "sick", person = "patient_id", categorical = { sex = ["f", "m"] }'
    study = parse(
        f'title = "t"\nrounds = 1\nsource = {{ {source}, folder = "{tmp_path}" }}\n'
        'task = { name = "classification", network = { name = "logistic" } }\n'
    )
    (tmp_path / "out").mkdir()
    release = tmp_path / "out" / "release.csv"
    release.write_text('age,sex,chol\n20 to 30,"{f, m}",200\n20 to 30,"{f, m}",201\n')
    said = {"quasi_identifiers": ["age", "sex"], "side_knowledge": {"chol": 0}, "sensitive": ""}
    (tmp_path / "out" / "summary.json").write_text(json.dumps(said))
    found = release_of_study(release, study, ("north", "south"))
    assert found.released.people == 80 and set(found.sites) == {"north", "south"}
    # Two people have each of these values, one in each hospital, and both rows are there once.
    links = links_of(found.released)
    assert (links.rows >= 0).sum() == 4
    (tmp_path / "out" / "summary.json").write_text("{}")
    with pytest.raises(StudyError, match="quasi_identifiers"):
        release_of_study(release, study, ("north", "south"))


class TestFoundInARelease(QuestionTests):
    question = FoundInARelease()
    findings = (
        Finding("mine", "server", True, claims=(Links(np.full(6, 99), ("",) * 6, np.ones(6, np.int64)),)),
        Finding("mine", "server", True, claims=links_of(six({})) and (links_of(six({})),)),
    )

    @pytest.fixture
    def run(self) -> Run:
        released = six({"chol": 10.0})
        people = Records({"age": AGES, "chol": CHOLESTEROL, "sick": SICK}, np.arange(6).astype(np.str_))
        sites = tiny_run(()).observed.sites
        return with_release(AuditedRelease(released, people, tuple(sites[at % len(sites)] for at in range(6))))


def test_the_attack_says_so_where_no_release_was_named() -> None:
    found = Linkage().run(tiny_run(()).handed, np.random.default_rng(0), 1.0)
    assert not found.possible and "release" in found.reason
