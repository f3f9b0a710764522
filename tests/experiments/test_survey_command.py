"""`wardround survey` as it is typed: asked at two hospitals, read together, and asked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.cli import cli


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(cli, ["survey", *map(str, words)])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


@pytest.fixture
def hospitals(tmp_path: Path) -> Path:
    for site, yes in (("north", 60), ("south", 20)):
        rows = [f"{site}-{i},{'yes' if i < yes else 'no'}" for i in range(100)]
        (tmp_path / f"{site}.csv").write_text(
            "\n".join(["patient,smokes", *rows, f"{site}-0,no", f"{site}-x,"]) + "\n"
        )
    return tmp_path


def asked(folder: Path, site: str, *more: object) -> str:
    table, out, own = folder / f"{site}.csv", folder / f"{site}.json", folder / f"{site}-own"
    return run("ask", table, "smokes", "--answers", "yes,no", "--out", out, "--register", own, "--epsilon", 2, *more)


def test_two_hospitals_ask_and_their_answers_are_read_together(hospitals: Path) -> None:
    said = asked(hospitals, "north")
    assert "100 persons were asked, 1 have no answer" in said and "2 is claimed" in said
    asked(hospitals, "south")
    left = json.loads((hospitals / "north.json").read_text())
    assert set(left) == {"question", "answers", "epsilon", "kind", "counts", "persons", "left_out"}
    page, figures = hospitals / "found.html", hospitals / "found.json"
    read = run("read", hospitals / "north.json", hospitals / "south.json", "--page", page, "--json", figures)
    assert "smokes: 200 persons" in read and "at 95 % or more" in read
    share = json.loads(figures.read_text())["shares"]["yes"]
    assert share["low"] < share["high"] and 0.2 < share["estimate"] < 0.6
    assert "95 % from" in page.read_text()


def test_asked_again_they_say_the_same_and_drawn_anew_they_run_out(hospitals: Path) -> None:
    asked(hospitals, "north")
    first = (hospitals / "north.json").read_text()
    asked(hospitals, "north")
    assert (hospitals / "north.json").read_text() == first
    assert "0 persons were asked, 1 have no answer, 100 have no epsilon left" in asked(hospitals, "north", "--fresh")


def test_wrong_words_are_answered_and_nobody_is_asked(hospitals: Path) -> None:
    options = ("--out", hospitals / "o.json", "--register", hospitals / "own")
    assert "did you mean 'smokes'" in run(
        "ask", hospitals / "north.csv", "smoks", "--answers", "yes,no", *options, code=1
    )
    said = run("ask", hospitals / "north.csv", "smokes", "--answers", "yes,never", *options, code=1)
    assert "not among yes, never" in said and not (hospitals / "o.json").exists()
    assert "did you mean 'oue'" in run("plan", "--kind", "ouee", code=1)
    (hospitals / "o.json").write_text("{}")
    assert "holds no responses to a survey" in run("read", hospitals / "o.json", code=1)


def test_a_plan_says_what_asking_again_costs(tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    said = run(
        "plan", "--epsilon", 1, "--persons", 200, "--interviews", 3, "--page", page, "--json", tmp_path / "p.json"
    )
    assert "What asking again costs" in said and "Epsilon of a person" in page.read_text()
    assert [one["epsilon"] for one in json.loads((tmp_path / "p.json").read_text())] == [1.0, 2.0, 3.0]
