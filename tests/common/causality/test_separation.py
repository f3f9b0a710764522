from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from common.causality.graph_text import graph_of_text
from common.causality.paths import find_paths, roles_between
from common.causality.separation import blanket, independences, separated
from common.errors import UnknownNameError
from common.seeding import generator
from experiments.benchmarks._identification import random_graph, random_model


@pytest.mark.parametrize(
    ("text", "given", "apart"),
    [
        ("x -> m -> y", "", False),
        ("x -> m -> y", "m", True),
        ("x <- z -> y", "", False),
        ("x <- z -> y", "z", True),
        ("x -> c <- y", "", True),
        ("x -> c <- y", "c", False),
        ("x -> c <- y; c -> d", "d", False),
        ("x <-> c <-> y", "", True),
        ("x <-> c <-> y", "c", False),
        ("x <-> y", "", False),
        ("x <- a -> c <- b -> y", "", True),
        ("x <- a -> c <- b -> y", "c", False),
        ("x <- a -> c <- b -> y", "ca", True),
    ],
)
def test_books_examples_of_separation(text: str, given: str, apart: bool) -> None:
    assert separated(graph_of_text(text), "x", "y", given) is apart


def test_separated_is_that_no_path_is_open() -> None:
    rng = generator(3, "separation")
    for _ in range(60):
        graph = random_graph(rng, 5, rng.uniform(0.2, 0.6), rng.uniform(0, 0.4))
        for one, other in combinations(graph.nodes, 2):
            given = [name for name in graph.nodes if name not in (one, other) and rng.random() < 0.4]
            paths = find_paths(graph, one, other, given)
            assert separated(graph, [one], [other], given) is not any(path.is_open for path in paths)


def test_separated_variables_are_independent_in_models_and_others_are_not() -> None:
    rng = generator(4, "independence")
    for _ in range(25):
        graph = random_graph(rng, 5, 0.4, 0.2)
        observed = random_model(graph, rng).observed()
        one, other, *given = (str(name) for name in rng.permutation(graph.nodes)[:4])
        cells = observed.marginal((one, other, *given)).cells
        within = cells / cells.sum(axis=(0, 1))
        gap = np.abs(within - within.sum(axis=0, keepdims=True) * within.sum(axis=1, keepdims=True)).max()
        assert bool(gap < 1e-12) is separated(graph, [one], [other], given)


def test_the_roles_of_variables_on_a_path() -> None:
    (causal, confounded, collided) = find_paths(graph_of_text("x -> m -> y; x <- z -> y; x -> c <- y"), "x", "y")
    assert (causal.text, causal.roles, causal.is_causal, causal.is_open) == ("x -> m -> y", ("mediator",), True, True)
    found = {path.text: (path.roles, path.is_back_door, path.blocked_by) for path in (confounded, collided)}
    assert found == {
        "x <- z -> y": (("confounder",), True, ()),
        "x -> c <- y": (("collider",), False, ("c",)),
    }


def test_a_double_arrow_makes_a_collider_where_two_meet() -> None:
    (path,) = find_paths(graph_of_text("x <-> m <-> y"), "x", "y", ["m"])
    assert path.roles == ("collider",) and path.is_open


def test_a_name_that_is_not_the_graphs_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="No variable 'w'"):
        separated(graph_of_text("x -> y"), ["x"], ["w"])


def test_in_a_dag_what_matters_of_all_before_is_the_parents() -> None:
    graph = graph_of_text("a -> b -> c -> d; a -> d")
    assert blanket(graph, "d", "abc") == {"a", "c"} and blanket(graph, "c", "ab") == {"b"}


def test_what_data_could_refute_is_so_and_nothing_given_could_be_left_out() -> None:
    rng = generator(9, "separators")
    for _ in range(60):
        graph = random_graph(rng, 6, rng.uniform(0.2, 0.5), rng.uniform(0, 0.3))
        found = {(one, other): given for one, other, given in independences(graph)}
        for one, other in combinations(graph.nodes, 2):
            others = [name for name in graph.nodes if name not in (one, other)]
            sets = [given for size in range(5) for given in combinations(others, size)]
            enough = [set(given) for given in sets if separated(graph, [one], [other], given)]
            assert ((one, other) in found) is bool(enough)
            if enough:
                given = set(found[one, other])
                assert given in enough and not any(smaller < given for smaller in enough)


def test_what_every_variable_is_to_a_treatment_and_an_outcome() -> None:
    graph = graph_of_text("z -> x -> m -> y; z -> y; x -> c <- y; i -> x; p -> y; i -> j")
    assert roles_between(graph, "x", "y") == {"z": "confounder", "m": "mediator", "c": "collider"}
