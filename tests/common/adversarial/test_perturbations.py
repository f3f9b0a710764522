"""The bits of torchattacks, by a slow copy of its arithmetic and, where it is installed, by itself; linear theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from common.adversarial.aims import loss_of, margin_of, margins
from common.adversarial.objective import Objective
from common.adversarial.perturbations.apgd_ce import ApgdCe
from common.adversarial.perturbations.fgsm import Fgsm
from common.adversarial.perturbations.noise import Noise
from common.adversarial.perturbations.pgd import Pgd
from common.adversarial.perturbations.square import Square
from common.adversarial.room import Room
from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.parameters import new_network
from common.learning.tasks.classification import Classification
from common.learning.tasks.cox import Cox
from common.learning.tasks.segmentation import Segmentation
from common.seeding import case_generators
from common.study.options import Entry

SIZES = (8 / 255, 0.1)


def images(classes: int = 3, count: int = 12) -> tuple[nn.Module, Tensor, Tensor, Objective]:
    """A small network, what it is sure of, and its loss."""
    task = Classification(network=Entry("groupnorm_cnn", {"channels": 4}))
    network = new_network(task, Shape((1, 10, 10), classes), 3).eval()
    inputs = torch.rand(count, 1, 10, 10, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        targets = network(inputs).argmax(1)
    batch = Batch.of(inputs, targets, tuple(map(str, range(count))))
    return network, inputs, targets, loss_of(task, network, batch)


def start_of(inputs: Tensor, size: float, seed: int = 1) -> Tensor:
    shift = torch.empty_like(inputs).uniform_(-size, size, generator=torch.Generator().manual_seed(seed))
    return (inputs + shift).clamp(0, 1)


def slow_pgd(network: nn.Module, inputs: Tensor, targets: Tensor, size: float, start: Tensor) -> Tensor:
    """Ten steps of a quarter, every operation in the order of torchattacks 3.5.1."""
    moved = start.clone().detach()
    for _ in range(10):
        moved.requires_grad = True
        (grad,) = torch.autograd.grad(nn.CrossEntropyLoss()(network(moved), targets), moved)
        moved = moved.detach() + 0.25 * size * grad.sign()
        moved = torch.clamp(inputs + torch.clamp(moved - inputs, min=-size, max=size), min=0, max=1).detach()
    return moved


def slow_apgd(network: nn.Module, image: Tensor, target: Tensor, size: float, start: Tensor, steps: int) -> Tensor:
    """Algorithm 1 of Croce and Hein 2020 for one image, with lists, as AutoAttack counts: (best input)."""

    def climbed(at: Tensor) -> tuple[float, Tensor]:
        leaf = at.clone().requires_grad_(True)
        loss = cross_entropy(network(leaf), target)
        (grad,) = torch.autograd.grad(loss, leaf)
        return float(loss.detach()), grad

    def projected(at: Tensor) -> Tensor:
        return torch.min(torch.max(at, image - size), image + size).clamp(0, 1)

    at = before = best = start
    loss, grad = climbed(start)
    best_loss, best_grad, checked, halved, step = loss, grad, loss, True, 2 * size
    losses, check, since = [0.0], max(int(0.22 * steps), 1), 0
    for index in range(steps):
        aimed = projected(at + step * grad.sign())
        share = 0.75 if index else 1.0
        moved = projected(at + (aimed - at) * share + (at - before) * (1 - share))
        before, at = at, moved
        loss, grad = climbed(at)
        losses.append(loss)
        if loss > best_loss:
            best, best_loss, best_grad = at, loss, grad
        since += 1
        if since == check:
            rises = sum(losses[-1 - back] > losses[-2 - back] for back in range(check))
            reduce = rises <= 0.75 * check or (not halved and checked >= best_loss)
            if reduce:
                step, at, grad = step / 2, best, best_grad
            halved, checked, since = reduce, best_loss, 0
            check = max(check - max(int(0.03 * steps), 1), int(0.06 * steps), 1)
    return best


@pytest.mark.parametrize("size", SIZES)
def test_one_step_and_many_give_the_very_bits_of_the_slow_way(size: float) -> None:
    network, inputs, targets, objective = images()
    room, start = Room.of(size, 0.0, 1.0), start_of(inputs, size)
    assert torch.equal(Pgd().ascended(objective, room, start), slow_pgd(network, inputs, targets, size, start))
    leaf = inputs.clone().requires_grad_(True)
    (grad,) = torch.autograd.grad(nn.CrossEntropyLoss()(network(leaf), targets), leaf)
    moved = Fgsm().move(objective, room, ())
    assert torch.equal(moved, torch.clamp(inputs + size * grad.sign(), min=0, max=1))


@pytest.mark.parametrize("steps", [1, 10, 25])
def test_steps_that_find_their_length_are_those_of_the_slow_way_case_by_case(steps: int) -> None:
    network, inputs, targets, whole = images(count=4)
    objective, start = Objective(inputs, whole.raised), start_of(inputs, 0.1)
    kept = ApgdCe(steps).ascended(objective, Room.of(0.1, 0.0, 1.0), start)
    for index in range(4):
        one = slice(index, index + 1)
        slow = slow_apgd(network, inputs[one], targets[one], 0.1, start[one], steps)
        torch.testing.assert_close(kept.inputs[one], slow, rtol=0, atol=1e-6)


class Peer:
    """torchattacks' own, where somebody has installed it."""

    def __init__(self) -> None:
        self.library: Any = pytest.importorskip("torchattacks")


def test_torchattacks_itself_has_the_same_bits() -> None:
    peer = Peer().library
    network, inputs, targets, objective = images()
    for size in SIZES:
        room = Room.of(size, 0.0, 1.0)
        assert torch.equal(peer.FGSM(network, eps=size)(inputs, targets), Fgsm().move(objective, room, ()))
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(5)
            theirs = peer.PGD(network, eps=size, alpha=size / 4, steps=10)(inputs, targets)
            torch.default_generator.manual_seed(5)
            start = (inputs + torch.empty_like(inputs).uniform_(-size, size)).clamp(0, 1)
        assert torch.equal(theirs, Pgd().ascended(objective, room, start))
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(5)
            best, right, losses, _ = peer.APGD(network, eps=size, steps=30).attack_single_run(inputs, targets)
            torch.default_generator.manual_seed(5)
            drawn = 2 * torch.rand(inputs.shape) - 1
        peaks = drawn.abs().flatten(1).amax(1).reshape(-1, 1, 1, 1)
        start = (inputs + room.share(1.0, inputs) * drawn / peaks).clamp(0, 1)
        kept = ApgdCe(30).ascended(Objective(inputs, objective.raised), room, start)
        assert torch.equal(kept.inputs, best) and torch.equal(kept.values, losses)
        assert torch.equal(ApgdCe(30).ascended(objective, room, start).misled, ~right)


def test_squares_find_at_least_what_torchattacks_squares_find() -> None:
    peer = Peer().library
    network, inputs, targets, _ = images(count=24)
    task = Classification(network=Entry("groupnorm_cnn", {"channels": 4}))
    objective = margin_of(task, network, Batch.of(inputs, targets, tuple(map(str, range(24)))))
    with torch.random.fork_rng():
        theirs = peer.Square(network, eps=0.1, n_queries=200)(inputs, targets)
    moved = Square(200).move(objective, Room.of(0.1, 0.0, 1.0), case_generators(np.random.default_rng(0), 24))
    misled = [int((network(one).argmax(1) != targets).sum()) for one in (moved, theirs)]
    assert misled[0] >= misled[1] - 1, "one of 24 may be luck"


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4000), st.floats(0.001, 0.2), st.integers(0, 99))
def test_a_linear_logit_changes_by_the_size_times_the_sum_of_weights(count: int, size: float, seed: int) -> None:
    """eps ||theta||_1 = eps m n, m being the mean size of a weight: linear in the number n of inputs."""
    weights = torch.from_numpy(np.random.default_rng(seed).normal(size=count))
    inputs = torch.zeros(1, count, dtype=torch.float64)
    objective = Objective(inputs, lambda moved: moved @ weights)
    moved = Fgsm().move(objective, Room.of(size), ())
    change = float((objective.values(moved) - objective.values(inputs))[0])
    assert change == pytest.approx(size * float(weights.abs().mean()) * count, rel=1e-9)


def test_twice_as_many_inputs_change_a_linear_logit_twice_as_much() -> None:
    def changed(count: int) -> float:
        weights = torch.tensor([0.5, -0.25] * (count // 2), dtype=torch.float64)
        inputs = torch.zeros(1, count, dtype=torch.float64)
        objective = Objective(inputs, lambda moved: moved @ weights)
        return float(objective.values(Fgsm().move(objective, Room.of(0.01), ()))[0])

    assert [changed(count) for count in (2, 20, 200)] == pytest.approx([0.0075, 0.075, 0.75])
    noise = Objective(torch.zeros(1, 200, dtype=torch.float64), lambda moved: moved.sum(1))
    tried = Noise(50).move(noise, Room.of(0.01), case_generators(np.random.default_rng(0), 1))
    assert float(noise.values(tried)[0]) < 0.2 * 0.01 * 200 * 2, "chance moves it by about the root of n alone"


def test_more_restarts_never_raise_the_loss_less_and_never_lower_it() -> None:
    _, inputs, _, objective = images()
    before = objective.values(inputs)

    def raised(restarts: int) -> Tensor:
        draws = case_generators(np.random.default_rng(0), 12)
        return objective.values(Pgd(3, 0.5, restarts).move(objective, Room.of(0.1, 0, 1), draws))

    few, many = raised(2), raised(5)
    assert bool((many >= few).all()) and bool((few >= before).all())


def test_of_several_classes_what_misleads_is_kept_and_not_only_what_is_costly() -> None:
    """The loss is highest where two wrong classes share what the right one lost, and the right one still leads."""
    inputs = torch.zeros(1, 1)

    def logits(at: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(at), 10 * at - 0.4, 8 * (0.04 - at).relu()], 1)

    objective = Objective(
        inputs,
        lambda at: -logits(at).log_softmax(1)[:, 0] * (1 + 40 * (at[:, 0] < 0)),
        misled=lambda at: logits(at).argmax(1) != 0,
    )
    moved = ApgdCe(10).move(objective, Room.of(0.06), case_generators(np.random.default_rng(0), 1))
    assert int(logits(moved).argmax(1)) != 0


def test_margins_are_above_zero_where_the_answer_is_wrong_and_of_pixels_their_mean() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.5], [0.0, 3.0, 1.0]])
    assert margins(logits, torch.tensor([0, 2])).tolist() == [-1.0, 2.0]
    pixels = torch.stack([logits[:, :2].T, logits[:, :2].T])  # (2 cases, 2 classes, 2 pixels)
    assert margins(pixels, torch.tensor([[0, 0], [1, 1]])).tolist() == [1.0, -1.0]


def test_squares_stop_asking_once_everybody_is_misled() -> None:
    asked: list[int] = []

    def raised(inputs: Tensor) -> Tensor:
        asked.append(len(inputs))
        return inputs.flatten(1).sum(1)

    objective = Objective(torch.ones(2, 1, 4, 4), raised, enough=0.0)
    assert torch.equal(
        Square(500).move(objective, Room.of(0.1), case_generators(np.random.default_rng(0), 2)), objective.inputs
    )
    assert len(asked) < 5


def test_every_task_has_a_loss_to_raise_and_margins_are_of_classes_alone() -> None:
    network = new_network(
        task := Segmentation(network=Entry("unet", {"channels": 4, "depth": 2})), Shape((1, 8, 8), 2), 0
    )
    inputs = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = Batch.of(inputs, (inputs[:, 0] > 0).long(), ("a", "b"))
    for objective in (loss_of(task, network, batch), margin_of(task, network, batch)):
        moved = Pgd().move(objective, Room.of(0.2), case_generators(np.random.default_rng(0), 2))
        assert bool((objective.values(moved) > objective.values(inputs)).all())
    cox = Cox()
    rows = Batch.of(
        torch.randn(4, 5, generator=torch.Generator().manual_seed(0)),
        torch.tensor([[1.0, 1], [2, 1], [3, 0], [4, 1]]),
        tuple("abcd"),
    )
    network = new_network(cox, Shape((5,), 0), 0)
    objective = loss_of(cox, network, rows)
    moved = Fgsm().move(objective, Room.of(0.1), ())
    assert float(objective.values(moved).sum()) > float(objective.values(rows.inputs).sum())
    with pytest.raises(StudyError, match="no logits"):
        margin_of(cox, network, rows)


def test_a_value_out_of_the_range_is_not_moved_further_out() -> None:
    inputs = torch.tensor([[1.2, 0.5, -0.1]])
    room = Room.of(0.3, 0.0, 1.0).around(inputs)
    torch.testing.assert_close(room.within(inputs + 0.3, inputs), torch.tensor([[1.2, 0.8, 0.2]]))
    torch.testing.assert_close(room.within(inputs - 0.3, inputs), torch.tensor([[0.9, 0.2, -0.1]]))


def test_what_does_not_depend_on_the_inputs_is_said() -> None:
    with pytest.raises(StudyError, match="no way up"):
        Fgsm().move(Objective(torch.zeros(2, 3), lambda inputs: torch.zeros(2)), Room.of(0.1), ())


REFUSED: dict[str, tuple[Any, ...]] = {
    "above zero": (lambda: Pgd(steps=0), lambda: Square(queries=-1), lambda: Noise(tries=0)),
    "restarts": (lambda: Pgd(restarts=3, random_start=False),),
    "between": (lambda: Pgd(step_share=3.0), lambda: Square(first_share=0.0)),
    "at most": (lambda: ApgdCe(steps=10**9), lambda: ApgdCe(restarts=10**6)),
}


@pytest.mark.parametrize("words", REFUSED)
def test_options_that_cannot_be_are_refused(words: str) -> None:
    for made in REFUSED[words]:
        with pytest.raises(StudyError, match=words):
            made()
