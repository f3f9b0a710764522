from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from common.selfsupervision.contrast import nt_xent, squared_distances, triplet

FIRST = torch.tensor([[1.0, 2, -1], [0, 1, 3], [2, -1, 1], [-1, 0, 2]], dtype=torch.float64)
SECOND = torch.tensor([[1.0, 1, -1], [1, 1, 2], [2, 0, 1], [0, -1, 2]], dtype=torch.float64)
ANCHORS, POSITIVES = torch.tensor([[0.0], [10], [20]]), torch.tensor([[3.0], [10], [2]])
temperatures = st.floats(0.05, 2)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 10**6))


def two_views(count: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
    draws = np.random.default_rng(seed).normal(size=(2, count, width))
    first, second = torch.from_numpy(draws)
    return first, second


def test_two_cases_at_right_angles_by_hand() -> None:
    views = torch.eye(2)
    assert nt_xent(views, views, 1.0).tolist() == pytest.approx([log(1 + 2 * exp(-1))] * 2, abs=1e-6)


@pytest.mark.parametrize(
    ("temperature", "golden"),
    [(0.5, 1.014530583718374), (0.1, 0.3033670586223394), (0.01, 0.6080866125571697)],
)
def test_the_mean_is_what_lightly_and_solo_learn_say(temperature: float, golden: float) -> None:
    """lightly 1.6.0's NTXentLoss and solo-learn 1.0.2's simclr_loss_func, which agree on these views."""
    assert float(nt_xent(FIRST, SECOND, temperature).mean()) == pytest.approx(golden, abs=1e-12)
    assert float(nt_xent(FIRST.float(), SECOND.float(), temperature).mean()) == pytest.approx(
        golden, abs=1e-7 / temperature
    )


def test_it_is_what_lightly_says_where_lightly_is() -> None:
    loss: Any = pytest.importorskip("lightly.loss.ntx_ent_loss").NTXentLoss(0.2)
    first, second = (one.float() for one in two_views(64, 16, 0))
    assert float(nt_xent(first, second, 0.2).mean()) == pytest.approx(float(loss(first, second)), abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(shapes, temperatures)
def test_it_is_a_slow_double_loop(shape: tuple[int, int, int], temperature: float) -> None:
    first, second = two_views(*shape)
    views, count = normalize(torch.cat([first, second]), dim=1), len(first)
    wanted = []
    for case in range(count):
        terms = []
        for one, other in ((case, case + count), (case + count, case)):
            alike = [float(views[one] @ views[k]) / temperature for k in range(2 * count)]
            terms.append(log(sum(exp(alike[k]) for k in range(2 * count) if k != one)) - alike[other])
        wanted.append(sum(terms) / 2)
    assert nt_xent(first, second, temperature).tolist() == pytest.approx(wanted, abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(shapes, temperatures, st.floats(0.1, 100))
def test_neither_length_nor_order_matters_and_views_may_be_exchanged(
    shape: tuple[int, int, int], temperature: float, stretch: float
) -> None:
    first, second = two_views(*shape)
    losses, turned = nt_xent(first, second, temperature), torch.arange(len(first)).flip(0)
    torch.testing.assert_close(nt_xent(stretch * first, second, temperature), losses)
    torch.testing.assert_close(nt_xent(second, first, temperature), losses)
    torch.testing.assert_close(nt_xent(first[turned], second[turned], temperature), losses[turned])


def test_gradients_are_those_of_differences() -> None:
    first, second = (one.requires_grad_() for one in two_views(4, 3, 1))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.3), (first, second))
    for negatives in ("all", "semi_hard", "hardest"):
        assert torch.autograd.gradcheck(lambda a, b, kind=negatives: triplet(a, b, 9.0, kind), (first, second))


def test_cases_that_are_all_one_have_the_trivial_loss() -> None:
    assert nt_xent(torch.ones(5, 3), torch.ones(5, 3), 0.1).tolist() == pytest.approx([log(9)] * 5, abs=1e-6)


@pytest.mark.parametrize("temperature", [1e-3, 1e-2, 1e3])
def test_any_temperature_leaves_finite_losses_and_gradients_of_float32(temperature: float) -> None:
    first, second = (one.float().requires_grad_() for one in two_views(16, 4, 2))
    twice, both = torch.cat([first, first[:3], 0 * first[:1]]), torch.cat([second, second[:3], 0 * second[:1]])
    losses = nt_xent(twice, both, temperature)
    losses.sum().backward()
    assert torch.isfinite(losses).all() and (losses >= 0).all()
    assert torch.isfinite(first.grad).all() and torch.isfinite(second.grad).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 1])
def test_who_has_nobody_to_be_told_from_has_no_loss_and_no_gradient(count: int) -> None:
    first, second = (torch.ones(count, 3, requires_grad=True) for _ in range(2))
    for losses in (nt_xent(first, second, 0.1), *(triplet(first, second, 1.0, one) for one in ("all", "hardest"))):
        assert losses.tolist() == [0.0] * count
        losses.sum().backward()
        assert not first.grad.any()  # type: ignore[union-attr]


def test_half_precision_around_it_changes_nothing() -> None:
    first, second = (one.float() for one in two_views(8, 4, 3))
    with torch.autocast("cpu", torch.bfloat16):
        inside = nt_xent(first, second, 0.01)
    assert torch.equal(inside, nt_xent(first, second, 0.01))


@pytest.mark.parametrize(
    ("negatives", "drawn", "wanted"),
    [
        ("hardest", None, [6, 0, 225]),
        ("semi_hard", None, [0, 0, 36]),
        ("all", None, [3, 0, 130.5]),
        ("random", None, [3, 0, 130.5]),
        ("random", [0.0, 0.9, 0.0], [0, 0, 36]),
    ],
)
def test_triplets_by_hand(negatives: Any, drawn: list[float] | None, wanted: list[float]) -> None:
    """Of 0 the own view is at 3, others at 10 and 2; 10 has its own at 10; of 20 it is at 2, and none is farther."""
    others = None if drawn is None else torch.tensor(drawn, dtype=torch.float64)
    assert triplet(ANCHORS, POSITIVES, 1.0, negatives, others).tolist() == pytest.approx(wanted, abs=1e-4)


def test_triplets_are_what_torch_says_of_the_drawn_cases() -> None:
    """And what pytorch-metric-learning 2.9.0's TripletMarginLoss with LpDistance(power=2) says of all."""
    anchors, positives = normalize(FIRST, dim=1), normalize(SECOND, dim=1)
    torchs = torch.nn.TripletMarginWithDistanceLoss(
        distance_function=lambda one, other: (one - other).square().sum(1), margin=1.5, reduction="none"
    )
    others = torch.tensor([2, 3, 3, 0])
    drawn = torch.tensor([0.4, 0.5, 0.0, 0.1], dtype=torch.float64)  # 2, 2, 1 and 1 places further on
    found = triplet(anchors, positives, 1.5, "random", drawn)
    torch.testing.assert_close(found, torchs(anchors, positives, positives[others]), atol=1e-12, rtol=0)
    assert triplet(anchors, positives, 0.5, "all").mean().item() == pytest.approx(0.00890177784524726, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(shapes, st.integers(1, 5))
def test_distances_are_those_of_differences(shape: tuple[int, int, int], columns: int) -> None:
    rows, other = two_views(*shape)[0], two_views(columns, shape[1], 7)[0]
    wanted = (rows[:, None] - other).square().sum(2)
    torch.testing.assert_close(squared_distances(rows, other), wanted, atol=1e-9, rtol=1e-9)


def test_every_other_case_is_drawn_alike_and_never_the_own() -> None:
    count = 5
    positives = torch.eye(count)
    drawn = torch.from_numpy(np.random.default_rng(0).random(count * 400)).reshape(400, count)
    met = torch.zeros(count, count)
    for row in drawn:
        rise = triplet(torch.zeros(count, count), positives * torch.arange(1.0, 6.0)[:, None], 100.0, "random", row)
        others = (100 + torch.arange(1.0, 6.0) ** 2 - rise).sqrt().round().long() - 1
        met[torch.arange(count), others] += 1
    assert not met.diagonal().any()
    assert met[~torch.eye(count, dtype=torch.bool)].min() > 60
