from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from common.causality.discrete_model import DiscreteModel
from common.causality.expression import Probability
from common.causality.graph import Graph
from common.causality.graph_text import graph_of_text
from common.causality.identification import Hedge, factorisation, identify, simplified
from common.causality.identified_effect import find_effect, helpful_measurements, instruments
from common.causality.mechanisms import Mechanism
from common.causality.rendering import as_latex, as_text, question_as_latex, question_as_text
from common.causality.tables import effect_table, evaluate, joint_table
from common.errors import GraphError, UnknownNameError
from experiments.benchmarks._identification import check_identification, random_questions

HALF = Fraction(1, 2)
COIN = {0: HALF, 1: HALF}


@pytest.mark.parametrize(
    ("graph", "strategy", "formula"),
    [
        ("x -> y", "none needed", "P(y | x)"),
        ("y -> x", "no effect", "P(y)"),
        ("z -> x -> y; z -> y", "back-door", "Σ_z P(y | x, z) P(z)"),
        ("x -> m -> y; x <-> y", "front-door", "Σ_m P(m | x) Σ_x′ P(y | x′, m) P(x′)"),
        ("x -> y; x <-> z; z <-> y", "none needed", "P(y | x)"),
        (
            "w -> z -> x -> y; w <-> x; w <-> y",
            "c-components",
            "[Σ_w P(y | w, z, x) P(x | w, z) P(w)] / [Σ_w P(x | w, z) P(w)]",
        ),
        ("x -> y; x <-> y", "not identified", None),
        ("z -> x -> y; x <-> y", "not identified", None),
    ],
)
def test_books_examples_are_named_and_written(graph: str, strategy: str, formula: str | None) -> None:
    effect = find_effect(graph_of_text(graph), ["x"], ["y"])
    assert effect.strategy == strategy
    assert (effect.expression and as_text(effect.expression)) == formula


def test_the_front_door_in_latex() -> None:
    effect = find_effect(graph_of_text("x1 -> m -> y; x1 <-> y"), ["x1"], ["y"])
    assert effect.expression is not None
    assert as_latex(effect.expression) == (
        r"\sum_{m} P(m \mid x_{1})\, \sum_{x_{1}'} P(y \mid x_{1}', m)\, P(x_{1}')"
    )
    assert question_as_latex(("x1",), ("y",), ("blood_group",)) == (
        r"P(y \mid \mathrm{do}(x_{1}), \mathrm{blood\_group})"
    )
    assert question_as_text(("x",), ("y",), ("z",)) == "P(y | do(x), z)"


def test_random_effects_are_the_true_ones() -> None:
    """A thousand by the benchmark; here some of every kind, of both algorithms and of named formulas."""
    for given in (False, True):
        found = check_identification(120, seed=5, given=given)
        assert found.worst < 1e-12 and found.worst_named < 1e-12
        assert 60 < found.identified < 120


def test_every_hedge_is_one() -> None:
    """Two nested sets held together by double arrows, with one root set that leads to the outcome (theorem 4)."""
    hedges = 0
    for question in random_questions(300, seed=6):
        found = identify(question.graph, question.treatments, question.outcomes)
        if isinstance(found, Hedge):
            hedges += 1
            outer, inner, roots = map(frozenset, (found.outer, found.inner, found.roots))
            setting = frozenset(question.treatments)
            assert inner < outer and setting & outer and not setting & inner
            for held in (outer, inner):
                within = question.graph.among(held)
                assert within.districts == (held,) and within.ancestors(roots) == held
            leading = question.graph.without_causes_of(setting).ancestors(question.outcomes)
            assert roots <= leading
    assert hedges > 20


def test_an_effect_that_a_hedge_forbids_differs_between_models_that_look_alike() -> None:
    """x and y are the same coin: because x makes y so, or because a common cause makes both."""

    def effect(model: DiscreteModel) -> Fraction:
        return model.interventional({"x": 1}).probability({"y": 1})

    mechanism = {"x": Mechanism((), ("u",), lambda u: u), "y": Mechanism(("x",), ("u",), lambda x, _: x)}
    coincidence = mechanism | {"y": Mechanism(("x",), ("u",), lambda _, u: u)}
    causing, coinciding = DiscreteModel(mechanism, {"u": COIN}), DiscreteModel(coincidence, {"u": COIN})
    assert causing.graph == coinciding.graph and find_effect(causing.graph, "x", "y").strategy == "not identified"
    assert causing.observational() == coinciding.observational()
    assert (effect(causing), effect(coinciding)) == (1, HALF)


def test_in_fractions_the_front_door_is_exact() -> None:
    third = {0: Fraction(1, 3), 1: Fraction(2, 3)}
    model = DiscreteModel(
        {
            "x": Mechanism((), ("u", "v"), lambda u, v: u & v),
            "m": Mechanism(("x",), ("a",), lambda x, a: x ^ a),
            "y": Mechanism(("m",), ("u", "b"), lambda m, u, b: (m | u) ^ b),
        },
        {
            "u": COIN,
            "v": {0: Fraction(1, 5), 1: Fraction(4, 5)},
            "a": third,
            "b": {0: Fraction(6, 7), 1: Fraction(1, 7)},
        },
    )
    effect = find_effect(model.graph, ["x"], ["y"])
    assert effect.strategy == "front-door" and effect.expression is not None
    found = effect_table(effect.expression, model.observational().table(dict.fromkeys("xmy", (0, 1))), ("x", "y"))
    for x in (0, 1):
        assert found.cells[x, 1] == model.interventional({"x": x}).probability({"y": 1})
    assert found.cells[1, 1] != model.observational().given({"x": 1}).probability({"y": 1})


def test_what_would_have_to_be_measured_is_said() -> None:
    effect = find_effect(graph_of_text("z -> x -> y; x <-> y; z <-> w"), ["x"], ["y"])
    assert helpful_measurements(effect) == (("x", "y"),)
    assert instruments(effect) == ("z", "w")
    assert effect.hedge == Hedge(("x", "y"), ("y",), ("y",))


def test_a_formula_may_name_what_the_effect_does_not_depend_on() -> None:
    effect = find_effect(graph_of_text("w -> z -> x -> y; w <-> x; w <-> y"), ["x"], ["y"])
    assert effect.idle == ("z",)


def test_an_effect_within_a_group() -> None:
    effect = find_effect(graph_of_text("z -> x -> y; z -> y; w -> y; w -> x"), ["x"], ["y"], ["z"])
    assert effect.strategy == "back-door" and effect.adjusted == ("w",)
    assert effect.expression is not None and as_text(effect.expression) == "Σ_w P(y | x, z, w) P(w | z)"


def test_simplifying_takes_away_what_makes_no_difference() -> None:
    graph = graph_of_text("a -> b -> c -> d")
    assert simplified(Probability(("d",), ("a", "b", "c")), graph) == Probability(("d",), ("c",))


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ((["x"], ["x"], []), "x cannot be both what is set and what is asked for"),
        ((["x"], ["y"], ["y"]), "y cannot be both what is asked for and what is given"),
        ((["x"], [], []), "needs an outcome"),
        ((["drug"], ["y"], []), "No variable 'drug'"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(question: tuple[list[str], ...], words: str) -> None:
    with pytest.raises((GraphError, UnknownNameError), match=words):
        find_effect(graph_of_text("x -> y"), *question)


def test_counts_become_probabilities_and_what_never_occurs_stays_unknown() -> None:
    table = joint_table(("x", "y"), np.array([[3, 1], [0, 0]]))
    found = evaluate(Probability(("y",), ("x",)), table)
    assert found.names == ("x", "y") and found.cells[0].tolist() == [0.75, 0.25] and np.isnan(found.cells[1]).all()


@pytest.mark.parametrize(
    "cells", [np.zeros((2, 2)), np.array([[1, -1], [2, 2]]), np.ones(4), np.full((2, 2), np.nan)]
)
def test_what_is_no_table_of_probabilities_is_refused(cells: np.ndarray) -> None:
    with pytest.raises(GraphError):
        joint_table(("x", "y"), cells)


def test_a_table_without_a_variable_of_the_formula_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="No variable of the table 'z'"):
        evaluate(Probability(("z",)), joint_table(("x",), np.ones(2)))


def test_a_large_graph_is_decided_at_once() -> None:
    names = [f"v{k}" for k in range(60)]
    arrows = frozenset((names[i], names[j]) for i in range(60) for j in range(i + 1, min(i + 3, 60)))
    graph = Graph(tuple(names), arrows, frozenset(frozenset((names[k], names[k + 4])) for k in range(0, 50, 7)))
    effect = find_effect(graph, ["v10"], ["v59"])
    assert (effect.strategy, effect.adjusted) == ("back-door", ("v8", "v9"))


def test_a_graph_says_how_its_distribution_falls_into_factors() -> None:
    """Of a DAG, each given its parents; of the front door, y also given what tells of the common cause."""
    assert as_text(factorisation(graph_of_text("z -> x -> y; z -> y; y -> w"))) == (
        "P(w | y) P(y | z, x) P(x | z) P(z)"
    )
    assert as_text(factorisation(graph_of_text("x -> m -> y; x <-> y"))) == "P(y | x, m) P(m | x) P(x)"
