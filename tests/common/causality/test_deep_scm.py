"""Learned causal models: mechanisms that invert, counterfactuals by hand, axioms that are exact."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.causality.deep.attributes import Classes, Number
from common.causality.deep.axioms import composition, effectiveness, grey_distance, reversibility
from common.causality.deep.ladder import ConditionalLadder, Pass
from common.causality.deep.measures import MEASURES
from common.causality.deep.model import Cause, DeepModel
from common.causality.graph_text import graph_of_text
from common.data.cases import Shape
from common.errors import WardroundError
from common.learning.networks.conditional_ladder import ConditionalLadder as LadderOptions
from common.learning.tasks.deep_scm import DeepScm

GRAPH = "a -> b; a & b -> image"
CAUSES = (Cause("a", 2.0, 1.0), Cause("b", 4.0, 3.0))


class FlatImage(nn.Module):
    """A known mechanism: every pixel is .1 + .02 a + .03 b + .1 z + .05 e, with two pixels."""

    noise_length = 1

    def seen(self, images: Tensor, causes: Tensor, noise: Tensor | None = None) -> Pass:
        return self.made(causes, (torch.zeros(len(images), 1) if noise is None else noise,))

    def made(self, causes: Tensor, latents: tuple[Tensor, ...]) -> Pass:
        a, b = 2 + causes[:, 0], 4 + 3 * causes[:, 1]
        level = 0.1 + 0.02 * a + 0.03 * b + 0.1 * latents[0][:, 0]
        location = level[:, None, None, None].expand(-1, 1, 1, 2)
        return Pass(tuple(latents), torch.zeros(len(causes)), location, torch.full_like(location, 0.05))


def known_model() -> DeepModel:
    """b := 3 a + u, as in the course's example, where x1 = 1 + u1: observed (2, 4), had a been 5, b is 13."""
    model = DeepModel(graph_of_text(GRAPH), CAUSES, FlatImage(), nn.Identity())
    mechanism = Line()
    model.attributes["b"] = mechanism
    return model


class Line(nn.Module):
    """b = 3 a + u, in units of its parents as they are told: a - 2."""

    width = 1

    def told(self, values: Tensor) -> Tensor:
        return ((values - 4) / 3)[:, None]

    def abduct(self, values: Tensor, parents: Tensor, uniform: Tensor | None = None) -> Tensor:
        return values - 3 * (parents[:, 0] + 2)

    def value(self, noise: Tensor, parents: Tensor) -> Tensor:
        return 3 * (parents[:, 0] + 2) + noise


def observed() -> tuple[Tensor, Tensor]:
    """Two cases: an image that is the mode, and one with noise in its pixels."""
    values = torch.tensor([[2.0, 4.0], [1.0, 2.0]])
    images = torch.tensor([[[[0.26, 0.26]]], [[[0.2, 0.15]]]])
    return images, values


def test_the_courses_example_gives_13() -> None:
    images, values = observed()
    made, acted = known_model().counterfactual(images, values, {"a": 5.0})
    assert acted[0].tolist() == [5.0, 13.0]
    assert acted[1].tolist() == [5.0, 14.0], "b = 3 * 5 + (2 - 3)"
    assert made[0].flatten().tolist() == pytest.approx([0.1 + 0.1 + 0.39] * 2)
    noise = torch.tensor([0.2, 0.15]) - (0.1 + 0.02 + 0.06)
    assert made[1].flatten().tolist() == pytest.approx((0.1 + 0.1 + 0.42 + noise).tolist())


def test_direct_and_indirect_effects_by_hand() -> None:
    images, values = observed()
    model, action = known_model(), {"a": 5.0}
    direct, indirect, total = (model.along(images, values, action, path) for path in ("direct", "indirect", "total"))
    assert (direct - images)[0, 0, 0, 0].item() == pytest.approx(0.02 * 3)
    assert (indirect - images)[0, 0, 0, 0].item() == pytest.approx(0.03 * 9)
    assert (total - images)[0, 0, 0, 0].item() == pytest.approx(0.02 * 3 + 0.03 * 9), "linear: they add up"


def test_the_axioms_are_exact_in_a_known_model() -> None:
    images, values = observed()
    model = known_model()
    assert composition(model, images, values, keep_pixels=True, passes=5).tolist() == pytest.approx([0, 0], abs=1e-4)
    without = composition(model, images, values, keep_pixels=False)
    assert without.tolist() == pytest.approx([0, 255 * (0.02 + 0.03) / 2], abs=1e-3)
    to = torch.tensor([3.0, 2.5])
    assert reversibility(model, images, values, "a", 0, to).tolist() == pytest.approx([0, 0], abs=1e-3)

    def b_of(image: np.ndarray) -> float:
        return float((image.mean() - 0.1 - 0.02 * 2) / 0.03)

    missed = effectiveness(model, images[:1], values[:1], "b", torch.tensor([6.0]), b_of)
    assert missed.tolist() == pytest.approx([0], abs=1e-4)


def test_a_model_that_ignores_what_is_set_fails_effectiveness_and_passes_composition() -> None:
    class Deaf:
        def counterfactual(
            self, images: Tensor, values: Tensor, actions: Mapping[str, Tensor | float], **_: object
        ) -> tuple[Tensor, Tensor]:
            return images, values

    images, values = observed()
    assert composition(Deaf(), images, values, keep_pixels=True).max() == 0
    wanted = torch.tensor([200.0, 250.0])
    found = effectiveness(Deaf(), images, values, "a", wanted, MEASURES["mean_grey"])
    assert found.tolist() == pytest.approx([200 - 255 * 0.26, 250 - 255 * 0.175], rel=1e-5)


def test_grey_levels_are_counted_of_255_and_outside_is_cut_off() -> None:
    assert grey_distance(torch.tensor([[[[0.5, 1.5]]]]), torch.tensor([[[[0.25, 1.0]]]])).tolist() == [255 * 0.125]


@pytest.mark.parametrize("flow", ["affine", "spline"])
def test_a_number_is_made_again_of_its_noise_and_its_density_integrates_to_one(flow: str) -> None:
    torch.manual_seed(0)
    mechanism = Number(10.0, 2.0, 2, flow).double()  # type: ignore[arg-type]
    for parameter in mechanism.parameters():
        nn.init.normal_(parameter, std=0.4)
    values, parents = torch.linspace(-20, 40, 6001).double(), torch.tensor([[0.3, -1.0]]).double().expand(6001, 2)
    noise = mechanism.abduct(values, parents)
    torch.testing.assert_close(mechanism.value(noise, parents), values, atol=1e-6, rtol=1e-6)
    assert (noise.diff() > 0).all(), "the flow must increase"
    density = (-mechanism.losses(values, parents)).exp() / 2.0
    assert torch.trapezoid(density, values).item() == pytest.approx(1, abs=1e-3)


def test_an_affine_number_has_the_likelihood_of_a_normal() -> None:
    mechanism = Number(10.0, 2.0, 0, "affine")
    with torch.no_grad():
        mechanism.free.copy_(torch.tensor([0.5, math.log(1.0)]))
    nats = mechanism.losses(torch.tensor([13.0]), torch.zeros(1, 0))
    assert nats.item() == pytest.approx(0.5 * (1.5 - 0.5) ** 2 + 0.5 * math.log(2 * math.pi))


def test_a_class_is_made_again_of_its_noise_and_drawn_noise_has_its_chances() -> None:
    torch.manual_seed(0)
    mechanism = Classes(3, 1)
    with torch.no_grad():
        mechanism.free.copy_(torch.tensor([0.0, 1.0, -1.0]))
    parents = torch.randn(4000, 1)
    values = torch.randint(3, (4000,)).float()
    for uniform in (None, torch.rand(4000, 3)):
        noise = mechanism.abduct(values, parents, uniform)
        assert torch.equal(mechanism.value(noise, parents), values)
    gumbel = -(-torch.rand(4000, 3).log()).log()
    drawn = mechanism.value(gumbel, torch.zeros(4000, 1))
    chances = (-mechanism.losses(torch.arange(3.0), torch.zeros(3, 1))).exp()
    assert torch.allclose(torch.bincount(drawn.long()) / 4000, chances, atol=0.03)


def test_noise_of_an_observed_class_is_what_the_posterior_says() -> None:
    """Drawn Gumbel noise of whom class 1 came out, beside noise abducted of class 1: the same means."""
    torch.manual_seed(1)
    mechanism = Classes(2, 0)
    with torch.no_grad():
        mechanism.free.copy_(torch.tensor([0.7, 0.0]))
    nothing = torch.zeros(40_000, 0)
    gumbel = -(-torch.rand(40_000, 2).log()).log()
    came = mechanism.value(gumbel, nothing) == 1
    abducted = mechanism.abduct(torch.ones(40_000), nothing, torch.rand(40_000, 2))
    assert torch.allclose(gumbel[came].mean(0), abducted.mean(0), atol=0.03)


def test_an_untrained_ladder_makes_an_image_again_exactly_where_noise_is_kept() -> None:
    torch.manual_seed(0)
    ladder = ConditionalLadder((1, 8, 8), 2, (4, 4), (2, 1), 3, 0.05).double()
    model = DeepModel(graph_of_text(GRAPH), CAUSES, ladder, nn.Identity()).double()
    images, values = torch.rand(3, 1, 8, 8).double(), torch.rand(3, 2).double()
    for noise in (None, torch.randn(3, ladder.noise_length).double()):
        made, acted = model.counterfactual(images, values, {}, noise=noise)
        torch.testing.assert_close(made, images, atol=1e-9, rtol=0)
        torch.testing.assert_close(acted, values, atol=1e-6, rtol=0)
    changed, _ = model.counterfactual(images, values, {"a": 9.0})
    assert not torch.allclose(changed, images, atol=1e-4)


def test_nats_of_the_ladder_are_those_of_two_normals() -> None:
    """Divergence of N(m, v) from N(0, 1), by numerical integration of one latent."""
    from common.causality.deep.ladder import LARGEST_LOG_RATIO, _posterior

    offset, ratio = torch.tensor([[0.8]]).double(), torch.tensor([[-0.4]]).double()
    u, nats = _posterior(offset, ratio, None)
    precision = math.exp(LARGEST_LOG_RATIO * math.tanh(-0.4 / LARGEST_LOG_RATIO) + 1)
    mean, variance = 0.8 * precision / (1 + precision), 1 / (1 + precision)
    assert u.item() == pytest.approx(mean)
    x = np.linspace(-8, 8, 20_001)
    density = np.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    ratio_of_logs = np.log(np.maximum(density, 1e-300)) + x**2 / 2 + 0.5 * math.log(2 * math.pi)
    assert nats.item() == pytest.approx(np.trapezoid(density * ratio_of_logs, x), rel=1e-4)


def test_the_noise_of_a_network_is_counted_without_building_it() -> None:
    options = LadderOptions((4, 8), (3, 2), 5)
    network = options.build(Shape((3, 8, 12), 1))
    assert options.noise_length(Shape((3, 8, 12), 1)) == network.noise_length == 5 + 3 * 2 * 3 + 2 * 4 * 6


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ("a -> b; b -> imge", "did you mean 'image'"),
        ("a -> image", "lacks 'b'"),
        ("image -> a; b -> image", "task.graph"),
        ("a <-> b; a & b -> image", "double arrow"),
        ("a -> b; b -> a; a -> image", "cycle"),
    ],
)
def test_a_graph_that_does_not_fit_the_causes_is_refused(graph: str, said: str) -> None:
    with pytest.raises(WardroundError, match=said):
        DeepScm(graph, CAUSES)


def test_an_action_on_what_is_no_cause_is_refused() -> None:
    with pytest.raises(WardroundError, match="'c'"):
        known_model().counterfactual(*observed(), {"c": 1.0})


def test_noise_of_nobody_makes_values_and_images_of_the_model() -> None:
    torch.manual_seed(0)
    ladder = ConditionalLadder((1, 8, 8), 2, (4,), (1,), 3, 0.05)
    model = DeepModel(graph_of_text(GRAPH), CAUSES, ladder, nn.Identity())
    noise = model.sampled(torch.randn(5, ladder.noise_length), {"a": torch.randn(5), "b": torch.randn(5)})
    values = model.act(noise, {"a": 3.0})
    assert values[:, 0].tolist() == [3.0] * 5 and values[:, 1].std() > 0
    assert model.predict(noise.image, values).shape == (5, 1, 8, 8)
