"""Local steps as the inversion of local training simulates them, beside those that a hospital takes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import chain
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from client.objective import shuffled_batches as of_hospital
from client.training import Trainer
from common.data.cases import Batch, Cases
from common.learning.client_work import Training
from common.learning.parameters import trainable
from common.learning.tasks.classification import Classification
from common.seeding import generator
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.local_steps import Moving, steps_of
from experiments.attacks.inversion.losses import soft_losses
from experiments.attacks.inversion.problem import InversionProblem
from experiments.attacks.multi_step import MultiStep, believed
from experiments.evidence.budget import Budget

Optimiser = Literal["sgd", "adam", "adamw"]
SIDE, CLASSES, SECONDS = 12, 3, 60.0
Change = Callable[[Tensor], tuple[Tensor, ...]]
ADAPTIVE: tuple[Optimiser, ...] = ("adam", "adamw")


class InFloat64(Classification):
    """Its loss is not rounded to float32, so that a step of Adam by a tiny gradient can be compared."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) nats."""
        return cross_entropy(network(batch.inputs), batch.targets, reduction="none")


class Layers(nn.Module):
    """A classifier in the precision of its parameters, with a layer that no loss reaches."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.unused = nn.Linear(2, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, CLASSES) logits."""
        return self.layers(inputs.to(self.unused.weight.dtype))


def drawn(network: nn.Module) -> nn.Module:
    draws = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5, generator=draws)
    return network


def smooth(side: int = SIDE) -> nn.Module:
    """Half its features are negative, so that the signs of the last layer's gradient tell of them."""
    convolution = nn.Conv2d(1, 8, 3, padding=1)
    return drawn(Layers(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(8 * side**2, CLASSES)))


def kinked() -> nn.Module:
    """Some of its units answer to nothing: their gradient is zero, where a root has no derivative."""
    first = nn.Linear(SIDE**2, 12)
    network = drawn(Layers(nn.Flatten(), first, nn.ReLU(), nn.Linear(12, CLASSES)))
    with torch.no_grad():
        first.bias[:4] = -100.0
    return network


def images(count: int, side: int = SIDE) -> NDArray[np.float32]:
    """(count, 1, side, side) standardised, two bright spots each."""
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[:side, :side]
    made = np.zeros((count, 1, side, side))
    for image in range(count):
        for _ in range(2):
            row, column = rng.uniform(1, side - 2, 2)
            made[image, 0] += np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * rng.uniform(1, 2) ** 2))
    return ((made - made.mean()) / made.std()).astype(np.float32)


def truth_of(targets: NDArray[np.integer]) -> Tensor:
    return one_hot(torch.from_numpy(targets), CLASSES).double()


def simulated(network: nn.Module, batches: list[NDArray[np.int64]], training: Training, mu: float) -> Change:
    """From inputs to what the steps change, in float64."""
    victim = Victim(deepcopy(network).double(), soft_losses(Classification()))
    targets = truth_of(np.arange(1 + max(int(batch.max()) for batch in batches)) % CLASSES)
    return lambda inputs: victim.change(inputs, targets, batches, training, mu)


@pytest.mark.parametrize("network", [smooth(), kinked()], ids=["smooth", "kinked"])
@pytest.mark.parametrize(("decay", "mu"), [(0.0, 0.0), (0.01, 0.0), (0.01, 0.3)])
@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_simulated_steps_change_what_a_hospital_changes(
    optimiser: Optimiser, decay: float, mu: float, network: nn.Module
) -> None:
    training = Training(
        epochs=3,
        batch_size=2,
        learning_rate=0.01,
        optimiser=optimiser,
        weight_decay=decay,
        momentum=0.9 if optimiser == "sgd" else 0.0,
    )
    inputs = images(5)
    cases = Cases.of(inputs, np.arange(5) % CLASSES, np.array(list("abcde")), ("a", "b", "c"))
    taught = deepcopy(network).double()
    _, steps = Trainer(InFloat64(), taught, cases, training, generator(1)).train(mu)
    batches = list(chain.from_iterable(of_hospital(5, training, generator(1))))
    found = simulated(network, batches, training, mu)(torch.from_numpy(inputs).double())
    assert (steps, len(found)) == (9, len(trainable(network)))
    for ours, (name, after), (_, before) in zip(found, trainable(taught), trainable(network), strict=True):
        theirs = (after - before.double()).detach()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("optimiser", ADAPTIVE)
def test_simulated_steps_differ_by_the_inputs_as_finite_differences_say(optimiser: Optimiser) -> None:
    training = Training(learning_rate=0.1, optimiser=optimiser, weight_decay=0.01)
    change = simulated(smooth(4), [np.array([0, 1]), np.array([1]), np.array([0])], training, 0.1)
    inputs = torch.from_numpy(images(2, 4)).double().requires_grad_(True)
    draws = torch.Generator().manual_seed(5)
    weights = [torch.randn(part.shape, generator=draws, dtype=torch.float64) for part in change(inputs)]

    def total(moved: Tensor) -> Tensor:
        return torch.stack([(part * weight).sum() for part, weight in zip(change(moved), weights, strict=True)]).sum()

    assert torch.autograd.gradcheck(total, (inputs,), eps=1e-7, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("optimiser", ADAPTIVE)
def test_where_gradients_are_zero_the_derivative_is_a_number(optimiser: Optimiser) -> None:
    training = Training(learning_rate=0.1, optimiser=optimiser)
    inputs = torch.from_numpy(images(1)).double().requires_grad_(True)
    parts = simulated(kinked(), [np.array([0])] * 3, training, 0.0)(inputs)
    (gradient,) = torch.autograd.grad(torch.stack([part.square().sum() for part in parts]).sum(), inputs)
    assert (parts[0][:4] == 0).all()
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def returned(steps: int, optimiser: Optimiser, attack: MultiStep) -> float:
    """Correlation of an image and of what the attack makes of so many steps on it."""
    training = Training(learning_rate=0.001, optimiser=optimiser)
    batches = [np.array([0])] * steps
    image = torch.from_numpy(images(1))
    victim = Victim(smooth(), soft_losses(Classification()))
    captured = tuple(part.detach() for part in victim.change(image, truth_of(np.array([0])), batches, training))
    problem = InversionProblem(victim, captured, tuple(image.shape), (1, CLASSES), np.array([0]))
    draws = torch.Generator().manual_seed(1)
    attempt = attack.search(problem, batches, training, 0.0, draws, Budget(SECONDS))
    return float(np.corrcoef(image.numpy().ravel(), attempt.inputs.numpy().ravel())[0, 1])


@pytest.mark.parametrize("optimiser", ADAPTIVE)
@pytest.mark.parametrize("steps", [1, 3])
def test_of_a_smooth_network_the_image_comes_back_from_adaptive_steps(steps: int, optimiser: Optimiser) -> None:
    assert returned(steps, optimiser, MultiStep(iterations=60)) > 0.85


@pytest.mark.parametrize(("optimiser", "cases", "tries"), [("sgd", 4, 1), ("adam", 1, 1), ("adam", 4, 2)])
def test_labels_of_several_cases_are_searched_too_where_steps_show_only_signs(
    optimiser: Optimiser, cases: int, tries: int
) -> None:
    victim, labels = Victim(smooth(), soft_losses(Classification())), np.arange(cases) % CLASSES
    problem = InversionProblem(victim, (), (cases, 1, SIDE, SIDE), (cases, CLASSES), labels)
    first, *others = believed(problem, Training(optimiser=optimiser))
    assert first is problem
    assert [one.labels for one in others] == [None] * (tries - 1)


def test_a_first_step_of_adam_by_a_gradient_of_any_size_is_the_learning_rate_long() -> None:
    moving, gradient = Moving(torch.ones(2).double()), torch.tensor([3e-3, -4e2]).double()
    taken = steps_of(Training(learning_rate=0.1, optimiser="adam"))(moving, gradient)
    torch.testing.assert_close(taken.value - 1, torch.tensor([-0.1, 0.1]).double(), rtol=1e-5, atol=0)


def test_a_softened_step_adds_the_root_mean_square_to_the_size_that_it_is_divided_by() -> None:
    step = steps_of(Training(learning_rate=0.1, optimiser="adam"), softness=2)
    taken = step(Moving(torch.zeros(2).double()), torch.tensor([1.0, -7.0]).double())
    torch.testing.assert_close(taken.value, torch.tensor([-0.1 / 11, 0.7 / 17]).double())


@pytest.mark.parametrize("optimiser", ADAPTIVE)
def test_softening_makes_steps_follow_the_inputs_and_leaves_gradient_descent_alone(optimiser: Optimiser) -> None:
    hard, soft = (slope(optimiser, softness) for softness in (0.0, 1.0))
    assert soft > 100 * hard > 0
    assert slope("sgd", 1.0) == slope("sgd", 0.0)


def slope(optimiser: Optimiser, softness: float) -> float:
    """Length of the derivative of one step's change by the inputs, in one direction of the change."""
    victim = Victim(smooth().double(), soft_losses(Classification()))
    inputs = torch.from_numpy(images(1)).double().requires_grad_(True)
    training = Training(optimiser=optimiser)
    parts = victim.change(inputs, truth_of(np.array([0])), [np.array([0])], training, 0.0, softness)
    (gradient,) = torch.autograd.grad(parts[0].sum(), inputs)
    return gradient.norm().item()
