from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.causality.graph import make_graph, project
from common.causality.graph_text import as_text, graph_of_text, graph_of_toml, read_graph
from common.errors import FileError, GraphError, UnknownNameError


def test_a_chain_a_list_and_a_double_arrow_are_read() -> None:
    graph = graph_of_text("age, sex -> drug -> recovery  # a remark\nrecovery <- age; drug <-> recovery\nsmoking")
    assert graph.nodes == ("age", "sex", "drug", "recovery", "smoking")
    assert graph.parents["drug"] == {"age", "sex"} and graph.parents["recovery"] == {"drug", "age"}
    assert graph.siblings["drug"] == {"recovery"}
    assert graph_of_text(as_text(graph)).arrows == graph.arrows


def test_the_signs_of_books_are_read_as_well() -> None:
    assert graph_of_text("a → b ↔ c; d ← a") == graph_of_text("a -> b <-> c; d <- a")


def test_a_toml_file_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "drug.toml").write_text('arrows = ["z -> x -> y"]\ncommon_causes = [["z", "y"]]\nhidden = []\n')
    assert read_graph(str(tmp_path / "drug.toml")) == graph_of_text("z -> x -> y; z <-> y")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a -> b -> c -> a", "cycle, a -> b -> c -> a"),
        ("a -> a", "'a' stands at both ends"),
        ("a -> ", "'' is no name of a variable"),
        ("a -> b; c => d", "'c => d' is no name"),
        ("hidden: u; a -> b", "No variable 'u'"),
        (f"a -> {'b' * 61}", "is no name of a variable"),
        ("; ".join(f"a -> b{k}" for k in range(200)), "at most 200 variables; this one has 201"),
    ],
)
def test_what_is_no_graph_is_said_in_words(text: str, words: str) -> None:
    with pytest.raises((GraphError, UnknownNameError), match=words):
        graph_of_text(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arrows = 3", "arrows of a causal graph is a list of words"),
        ("arow = []", "did you mean 'arrows'"),
        ('common_causes = [["a"]]', "is two variables"),
        ("arrows = [", "is not TOML"),
    ],
)
def test_what_is_no_toml_of_a_graph_is_said_in_words(text: str, words: str) -> None:
    with pytest.raises((GraphError, UnknownNameError), match=words):
        graph_of_toml(text)


def test_a_file_that_is_not_there_is_said_to_be_so() -> None:
    with pytest.raises(FileError, match="absent"):
        read_graph("absent.txt")


def test_a_cycle_is_found_where_other_variables_hang_on_it() -> None:
    with pytest.raises(GraphError, match=r"cycle, (b -> c -> b|c -> b -> c);"):
        make_graph([("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")])


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'recovery'"):
        graph_of_text("drug -> recovery").demand("recovry")


def test_a_hidden_cause_becomes_a_double_arrow_and_a_hidden_step_an_arrow() -> None:
    graph = graph_of_text("u -> x; u -> y; x -> m -> y; hidden: u, m")
    assert graph == graph_of_text("x -> y; x <-> y")


def test_hiding_in_any_order_gives_one_graph() -> None:
    graph = graph_of_text("a -> u -> v -> b; u -> c; v -> d; e <-> u; e -> f")
    one = project(project(graph, frozenset({"u"})), frozenset({"v"}))
    other = project(project(graph, frozenset({"v"})), frozenset({"u"}))
    assert one == other == project(graph, frozenset({"u", "v"}))
    assert frozenset({"e", "b"}) in one.pairs and ("a", "d") in one.arrows and frozenset({"b", "d"}) in one.pairs


def test_districts_are_what_double_arrows_hold_together() -> None:
    graph = graph_of_text("a -> b -> c -> d; a <-> c; c <-> d")
    assert graph.districts == (frozenset("acd"), frozenset("b"))
    assert graph.among(frozenset("abd")).districts == (frozenset("a"), frozenset("b"), frozenset("d"))


def test_causes_come_before_effects() -> None:
    graph = graph_of_text("y <- x <- z; z -> y; a")
    assert graph.order == ("z", "a", "x", "y")
    assert graph.ancestors("x") == {"x", "z"} and graph.descendants("x") == {"x", "y"}


@given(st.text(alphabet="ab ->&<;#:\n,hidde", max_size=60))
def test_any_text_is_a_graph_or_refused_in_words(text: str) -> None:
    try:
        graph = graph_of_text(text)
    except (GraphError, UnknownNameError):
        return
    assert sorted(graph.order) == sorted(graph.nodes)
    assert graph_of_text(as_text(graph)).arrows == graph.arrows


def test_more_edges_than_anybody_draws_are_refused() -> None:
    many = ",".join(f"a{k}" for k in range(400))
    with pytest.raises(GraphError, match="more than 100000 edges"):
        graph_of_text(f"{many} -> {many.replace('a', 'b')}")
