from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np
import pytest

from common.causality.continuous_model import Additive, AdditiveModel, gaussian
from common.causality.discrete_model import DiscreteModel
from common.causality.linear_model import LinearModel
from common.causality.mechanisms import Mechanism
from common.errors import GraphError, UnknownNameError

HALF, FIFTH = Fraction(1, 2), Fraction(1, 5)
SEVERITY = DiscreteModel(
    {
        "severe": Mechanism((), ("s",), lambda s: s),
        "drug": Mechanism(("severe",), ("d",), lambda severe, d: severe ^ d),
        "dies": Mechanism(("severe", "drug"), ("r",), lambda severe, drug, r: int(r < 2 + 2 * severe - drug)),
    },
    {"s": {0: HALF, 1: HALF}, "d": {0: 1 - FIFTH, 1: FIFTH}, "r": dict.fromkeys(range(5), FIFTH)},
)
LINEAR = LinearModel({"x1": 1.0, "x2": 0.0}, {("x1", "x2"): 3.0}, {}, {})
ADDITIVE = AdditiveModel({"x1": gaussian((), lambda: 1.0), "x2": gaussian(("x1",), lambda x1: 3 * x1)})


def test_the_courses_example_gives_13() -> None:
    """x1 = 1 + u1, x2 = 3 x1 + u2, seen (2, 4): u = (1, -2), and had x1 been 5, x2 = 15 - 2."""
    mean, variance = LINEAR.counterfactual({"x1": 2, "x2": 4}, {"x1": 5}).of("x2")
    assert (mean, variance) == (pytest.approx(13, abs=1e-12), 0)
    seen = {"x1": np.array([2.0]), "x2": np.array([4.0])}
    assert {name: noise.tolist() for name, noise in ADDITIVE.abduct(seen).items()} == {"x1": [1.0], "x2": [-2.0]}
    assert ADDITIVE.counterfactual(seen, {"x1": 5})["x2"].tolist() == [13.0]
    model = DiscreteModel(
        {
            "x1": Mechanism((), ("u1",), lambda u1: 1 + u1),
            "x2": Mechanism(("x1",), ("u2",), lambda x1, u2: 3 * x1 + u2),
        },
        {"u1": {0: HALF, 1: HALF}, "u2": {-2: FIFTH, 2: 1 - FIFTH}},
    )
    assert model.counterfactual({"x1": 2, "x2": 4}, {"x1": 5}).chances == {(5, 13): 1}


def test_the_three_rungs_by_hand() -> None:
    """P(dies) is (2 + 2 severe - drug) / 5; 4 of 5 severe patients and 1 of 5 others have the drug."""
    seen = SEVERITY.observational().given({"drug": 1}).probability({"dies": 1})
    assert seen == FIFTH * (4 * 3 + 1 * 1) / 5
    assert SEVERITY.interventional({"drug": 1}).probability({"dies": 1}) == FIFTH * (3 + 1) / 2
    died = {"severe": 1, "drug": 0, "dies": 1}
    assert SEVERITY.counterfactual(died, {"drug": 1}).probability({"dies": 0}) == Fraction(1, 4)


def test_the_markov_factorisation_is_the_joint_distribution() -> None:
    joint = SEVERITY.observational()
    assert SEVERITY.is_markovian
    for values, chance in joint.chances.items():
        world = dict(zip(joint.names, values, strict=True))
        factors = []
        for name in joint.names:
            causes = {cause: world[cause] for cause in SEVERITY.graph.parents[name]}
            factors.append(joint.given(causes).probability({name: world[name]}))
        assert prod(factors) == chance


def test_nothing_seen_makes_a_counterfactual_an_intervention_and_nothing_done_what_was_seen() -> None:
    assert SEVERITY.counterfactual({}, {"drug": 1}) == SEVERITY.interventional({"drug": 1})
    seen = {"dies": 1, "drug": 1}
    assert SEVERITY.counterfactual(seen, {}) == SEVERITY.observational().given(seen)


def test_composition_setting_what_would_have_been_anyway_changes_nothing() -> None:
    seen = {"severe": 1, "drug": 1, "dies": 1}
    assert SEVERITY.counterfactual(seen, {"drug": 1}) == SEVERITY.observational().given(seen)


def test_necessity_and_sufficiency_across_worlds() -> None:
    """Saved by the drug: would die without it and not with it. 1 of 5 values of the noise, in either group."""
    assert SEVERITY.across((({"dies": 1}, {"drug": 0}), ({"dies": 0}, {"drug": 1}))) == FIFTH


def test_a_noise_of_two_mechanisms_is_a_double_arrow() -> None:
    model = DiscreteModel(
        {"x": Mechanism((), ("u",), lambda u: u), "y": Mechanism(("x",), ("u",), lambda x, u: x & u)},
        {"u": {0: HALF, 1: HALF}},
    )
    assert model.graph.pairs == {frozenset("xy")} and not model.is_markovian


@pytest.mark.parametrize(
    ("mechanisms", "noises", "words"),
    [
        ({"x": Mechanism(("w",), (), int)}, {}, "has the cause 'w'"),
        ({"x": Mechanism((), ("u",), int)}, {}, "has the noise 'u'"),
        ({"x": Mechanism((), (), int)}, {"x": {0: Fraction(1)}}, "both a variable and a noise"),
        ({"x": Mechanism((), ("u",), int)}, {"u": {0: HALF}}, "do not add up to 1"),
        ({"x": Mechanism(("y",), (), int), "y": Mechanism(("x",), (), int)}, {}, "has a cycle"),
        ({}, {f"u{k}": {0: HALF, 1: HALF} for k in range(21)}, "2097152 combinations"),
    ],
)
def test_what_is_no_model_is_refused(mechanisms: dict, noises: dict, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        DiscreteModel(mechanisms, noises)


def test_what_never_happens_is_no_evidence() -> None:
    with pytest.raises(GraphError, match="severe = 3 never happens"):
        SEVERITY.counterfactual({"severe": 3}, {"drug": 1})
    with pytest.raises(GraphError, match="never happens"):
        LinearModel({"x": 1.0}, {}, {"x": 0.0}, {}).counterfactual({"x": 2.0}, {})
    with pytest.raises(UnknownNameError, match="did you mean 'severe'"):
        SEVERITY.interventional({"sever": 1})


def test_of_a_person_seen_in_part_draws_agree_with_the_exact_answer() -> None:
    """x2 = 4 alone: u1 has mean .3 given it, and x2 is 15 plus what is left of 4."""
    mean, variance = LINEAR.counterfactual({"x2": 4.0}, {"x1": 5.0}).of("x2")
    assert (mean, variance) == (pytest.approx(15.1), pytest.approx(0.9))
    drawn = ADDITIVE.counterfactual_draws({"x2": 4.0}, {"x1": 5.0}, 40_000, np.random.default_rng(1))
    assert drawn.mean("x2") == pytest.approx(mean, abs=5 * np.sqrt(variance / drawn.effective))
    with pytest.raises(GraphError, match="'x1' was not seen"):
        ADDITIVE.counterfactual({"x2": np.array([4.0])}, {"x1": 5})


def test_samples_of_a_nonlinear_model_have_the_effect_of_its_function() -> None:
    model = AdditiveModel(
        {
            "z": gaussian((), lambda: 0.0),
            "x": gaussian(("z",), lambda z: z),
            "y": Additive(("x", "z"), lambda x, z: x**2 + z, lambda rng, n: rng.uniform(-1, 1, n)),
        }
    )
    drawn = model.sample(20_000, np.random.default_rng(2), {"x": 3.0})
    assert drawn["y"].mean() == pytest.approx(9, abs=5 * drawn["y"].std() / np.sqrt(20_000))
    seen = model.sample(5, np.random.default_rng(3))
    again = model.counterfactual(model.counterfactual(seen, {"x": 1.0}) | {"x": seen["x"]}, {})
    assert np.allclose(model.counterfactual(seen, {})["y"], seen["y"], rtol=0, atol=1e-12)
    assert again["z"].tolist() == seen["z"].tolist()
    with pytest.raises(GraphError, match="no density"):
        model.counterfactual_draws({"y": 1.0}, {"x": 0.0}, 10, np.random.default_rng(0))


def test_linear_effects_are_sums_over_paths_of_products_and_confounding_shows_in_covariances_alone() -> None:
    model = LinearModel(
        {"x": 0.0, "m": 1.0, "y": 0.0},
        {("x", "m"): 2.0, ("m", "y"): 0.5, ("x", "y"): -3.0},
        {},
        {("x", "y"): 0.7},
    )
    assert model.total_effect("x", "y") == pytest.approx(2 * 0.5 - 3)
    observed = model.observational()
    slope = observed.covariance[0, 2] / observed.covariance[0, 0]
    assert slope == pytest.approx(-2 + 0.7)
    assert model.graph.pairs == {frozenset("xy")}
    with pytest.raises(GraphError, match="those of no distribution"):
        LinearModel({"x": 0.0, "y": 0.0}, {}, {}, {("x", "y"): 2.0})
    with pytest.raises(GraphError, match="'z' has no intercept"):
        LinearModel({"x": 0.0}, {("x", "z"): 1.0}, {}, {})
