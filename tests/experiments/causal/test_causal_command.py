from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.causality.graph_text import graph_of_text
from common.causality.identified_effect import find_effect
from experiments.causal.effect_page import effect_page
from experiments.causal.ladder import rungs
from experiments.causal.ladder_page import ladder_page
from experiments.causal.sentences import headline, reasons, roles
from experiments.cli import cli

NAPKIN = "w -> z -> x -> y; w <-> x; w <-> y"


def spoken(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(cli, ["causal", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_an_effect_is_said_with_its_formula_and_what_to_adjust_for() -> None:
    said = spoken("age -> drug -> dies; age -> dies; drug -> pressure -> dies", "--effect", "drug", "dies")
    assert "adjust for age (back-door)" in said
    assert "P(dies | do(drug)) = Σ_age P(dies | drug, age) P(age)" in said
    assert "Never adjust for pressure" in said
    assert "drug <- age -> dies       biases (open; shut once adjusted)" in said


def test_a_hedge_is_said_and_what_would_help(tmp_path: Path) -> None:
    file, answer = tmp_path / "graph.toml", tmp_path / "answer.json"
    file.write_text('arrows = ["z -> x -> y"]\ncommon_causes = [["x", "y"]]\n')
    said = spoken(str(file), "--effect", "x", "y", "--json", str(answer))
    assert "cannot be known from what is measured" in said and "hedge: x and y hang together" in said
    found = json.loads(answer.read_text())
    assert found["hedge"] == {"outer": ["x", "y"], "inner": ["y"], "roots": ["y"]}
    assert found["instruments"] == ["z"] and found["measuring_would_help"] == [["x", "y"]]
    assert found["identified"] is False and found["formula"] is None


def test_without_an_effect_a_graph_says_what_could_refute_it() -> None:
    said = spoken("a -> b -> c; d <-> c")
    assert "a and c are independent given b" in said and "a and d are independent\n" in said
    assert "c-components): a; b; c, d." in said


def test_without_a_graph_the_ladder_is_shown_and_drawn(tmp_path: Path) -> None:
    page = tmp_path / "ladder.html"
    said = spoken("--page", str(page))
    assert "48 % without the drug, 52 % with it" in said and "60 % without the drug, 40 % with it" in said
    assert "had x1 been 5, x2 = 13." in said
    assert page.read_text().count("<svg") > 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("x -> y -> x", "--effect", "x", "y"), "cycle"),
        (("x -> y", "--effect", "x", "z"), "No variable 'z'"),
        (("x -> y", "--effect", "x", "x"), "cannot be both"),
        (("x -> y", "--effect", "x", ""), "needs an outcome"),
        (("x -> y", "--page", "page.html"), "say which"),
        (("absent.txt", "--effect", "x", "y"), "absent.txt"),
        (("--effect", "x", "y"), "an effect is of a graph"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(words: tuple[str, ...], said: str) -> None:
    assert said in spoken(*words, code=1)


def test_several_treatments_and_groups_stand_between_commas() -> None:
    said = spoken("a -> x1 -> y; a -> x2 -> y; a -> y", "--effect", "x1, x2", "y", "--given", "a")
    assert "P(y | do(x1, x2), a) = P(y | a, x1, x2)" in said or "P(y | do(x1, x2), a) = P(y | x1, x2, a)" in said


@pytest.mark.parametrize(
    "graph", ["z -> x -> y; z -> y", "x -> m -> y; x <-> y", NAPKIN, "x -> y; x <-> y", "y -> x"]
)
def test_every_kind_of_effect_has_a_page_with_a_picture(graph: str) -> None:
    effect = find_effect(graph_of_text(graph), ["x"], ["y"])
    page = effect_page(effect)
    assert page.startswith("<!doctype html>") and 'class="causal"' in page and headline(effect)[:20] in page
    assert ("not identified" in page) is (effect.hedge is not None)


def test_names_of_variables_are_escaped_in_pages() -> None:
    """A name cannot hold signs of HTML; a file that tries is refused before any page."""
    assert "is no name" in spoken("a -> <script>alert(1)</script>", "--effect", "a", "b", code=1)


def test_what_a_path_does_is_said_before_and_after_adjusting() -> None:
    effect = find_effect(graph_of_text("a -> x; a -> c; b -> c; b -> y; x -> y; z -> x; z -> y"), ["x"], ["y"])
    found = {path: does for path, _, does in roles(effect)}
    assert found == {
        "x -> y": "carries the effect",
        "x <- z -> y": "biases (open; shut once adjusted)",
        "x <- a -> c <- b -> y": "does no harm (shut)",
    }
    assert "z" in " ".join(reasons(effect)) or effect.adjusted == ("z",)


def test_rungs_are_those_worked_out_by_hand() -> None:
    """(2 + 2 severe - drug) of 5 die: seen 12/25 and 13/25, done 3/5 and 2/5, and 3 of the 4 deadly fates stay so."""
    assert [[str(risk) for risk in one.risks] for one in rungs()] == [
        ["12/25", "13/25"],
        ["3/5", "2/5"],
        ["1", "3/4"],
    ]
    assert "Would she have lived" in ladder_page()
