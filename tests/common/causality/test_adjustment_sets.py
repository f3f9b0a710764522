from __future__ import annotations

from itertools import chain, combinations

import pytest

from common.causality.adjustment import adjustment_of, front_door
from common.causality.expression import Probability, product, summed
from common.causality.graph_text import graph_of_text
from common.errors import GraphError
from common.seeding import generator
from experiments.benchmarks._identification import Question, error_of, random_graph, random_model

# Figure 1 of Greenland, Pearl and Robins 1999.
PEARL = graph_of_text("a -> c -> d; b -> c; a -> e; b -> d; c -> e; e -> d")


def test_all_sets_and_the_smallest_ones_of_a_books_graph() -> None:
    """c alone opens a - c - b, so a or b goes with it."""
    found = adjustment_of(PEARL, "e", "d")
    assert set(found.every()) == {("a", "c"), ("c", "b"), ("a", "c", "b")}
    assert found.minimal() == (("a", "c"), ("c", "b"))
    assert not found.valid("c") and found.back_door("ac")


def test_what_is_adjusted_for_is_never_an_effect_of_the_treatment_on_the_way() -> None:
    found = adjustment_of(graph_of_text("x -> m -> y; m -> d; z -> x; z -> y"), "x", "y")
    assert found.forbidden == frozenset("xmyd") and found.smallest() == ("z",)
    assert not found.valid(["z", "m"]) and not found.valid(["z", "d"])


def test_adjusting_for_a_collider_biases() -> None:
    found = adjustment_of(graph_of_text("a -> x; a -> c; b -> c; b -> y; x -> y"), "x", "y")
    assert found.smallest() == () and not found.valid("c") and found.valid("ca")


def test_no_set_is_valid_against_a_double_arrow() -> None:
    assert adjustment_of(graph_of_text("x -> y; x <-> y; z -> x"), "x", "y").smallest() is None


def test_the_efficient_set_lies_near_the_outcome() -> None:
    """z and o are both enough; o leaves less variance (Henckel, Perković and Maathuis 2022)."""
    assert adjustment_of(graph_of_text("z -> x -> y; z -> o -> y; i -> x; p -> y"), "x", "y").efficient() == (
        "o",
        "p",
    )


def test_sets_are_valid_where_they_give_the_true_effect_and_only_there() -> None:
    """The criterion is complete: on models drawn at random an invalid set is off."""
    rng = generator(8, "adjustment")
    valid = invalid = 0
    for _ in range(150):
        graph = random_graph(rng, 5, 0.5, 0.15)
        x, y, *others = (str(name) for name in rng.permutation(graph.nodes))
        if y not in graph.descendants(x):
            continue
        question, model = Question(graph, (x,), (y,)), random_model(graph, rng)
        found = adjustment_of(graph, x, y)
        for adjusted in chain.from_iterable(combinations(others, size) for size in range(len(others) + 1)):
            formula = summed(adjusted, product([Probability((y,), (x, *adjusted)), Probability(adjusted)]))
            formula = formula if adjusted else Probability((y,), (x,))
            right = error_of(formula, question, model) < 1e-12
            assert right is found.valid(adjusted)
            valid, invalid = valid + right, invalid + (not right)
        assert (found.smallest() is None) is (not list(found.every()))
        if (smallest := found.smallest()) is not None:
            assert smallest in {graph.sorted(one) for one in found.minimal()}
    assert valid > 30 and invalid > 30


def test_the_front_door_and_what_shuts_it() -> None:
    assert front_door(graph_of_text("x -> m -> y; x <-> y"), "x", "y") == ("m",)
    assert front_door(graph_of_text("x -> m -> y; x -> n -> y; x <-> y"), "x", "y") == ("m", "n")
    assert front_door(graph_of_text("x -> m -> y; x <-> y; m <-> y"), "x", "y") is None
    assert front_door(graph_of_text("x -> m -> y; x -> y; x <-> y"), "x", "y") is None


def test_a_list_of_too_many_sets_is_refused_and_a_smallest_one_found() -> None:
    graph = graph_of_text("; ".join(["x -> y", *(f"z{k} -> x; z{k} -> y" for k in range(20))]))
    found = adjustment_of(graph, "x", "y")
    with pytest.raises(GraphError, match="20 variables could be adjusted for"):
        found.minimal()
    assert len(found.smallest() or ()) == 20
