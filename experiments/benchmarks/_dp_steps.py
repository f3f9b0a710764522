"""One training step of a network, plain and private: ours by every way, and Opacus in every mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.grad_sample.grad_sample_module import GradSampleModule
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
from opacus.grad_sample.gsm_exp_weights import GradSampleModuleExpandedWeights
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from torch import Tensor, nn

from client.clipping import CaseLoss, ClippedSum, plainly_laid_out
from client.private_training import set_gradients
from common.data.cases import Batch, Shape
from common.learning.parameters import new_network, trainable
from common.learning.task import Task
from common.privacy.noise import SystemNoise, add_gaussian
from common.sums.update import Vector

CLIP_NORM, NOISE_MULTIPLIER, LEARNING_RATE = 1.0, 1.0, 0.001
Step = Callable[[], None]


@dataclass(frozen=True)
class StepProblem:
    """A task and the batch of every step."""

    name: str
    task: Task
    batch: Batch
    classes: int

    def network(self) -> nn.Module:
        """A fresh network, in training mode; always the same."""
        shape = Shape(tuple(self.batch.inputs.shape[1:]), self.classes)
        return new_network(self.task, shape, 1).train()


def plain(problem: StepProblem) -> Step:
    """Stochastic gradient descent."""
    network = problem.network()
    optimiser = torch.optim.SGD(network.parameters(), LEARNING_RATE)

    def step() -> None:
        optimiser.zero_grad()
        problem.task.loss(network, problem.batch).mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def secure_noise(total: Vector) -> NDArray[np.float64]:
    """The sum with noise as a hospital in deployment adds it."""
    return add_gaussian(total, NOISE_MULTIPLIER * CLIP_NORM, SystemNoise())


def torchs_noise(total: Vector) -> NDArray[np.float64]:
    """The sum with noise as Opacus adds it."""
    return np.asarray(total + torch.normal(0.0, NOISE_MULTIPLIER * CLIP_NORM, total.shape).numpy(), np.float64)


def ours(
    problem: StepProblem, way: ClippedSum, noise: Callable[[Vector], NDArray[np.float64]] = secure_noise
) -> Step:
    """A clipped sum by `way`, noise, and a step."""
    network = problem.network()
    loss = CaseLoss(problem.task, network)
    parameters = [parameter for _, parameter in trainable(network)]
    optimiser = torch.optim.SGD(parameters, LEARNING_RATE)

    def step() -> None:
        noisy = noise(way(loss, problem.batch, CLIP_NORM)).astype(np.float32)
        noisy /= len(problem.batch)
        set_gradients(parameters, noisy)
        optimiser.step()

    return step


class _Called(nn.Module):
    """Calls Opacus' wrapper itself, which one mode needs: tasks would call the network in it where it has levels."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> Tensor:
        """What the network answers."""
        answer: Tensor = self.module(inputs)
        return answer


def _hooks(network: nn.Module) -> nn.Module:
    module: nn.Module = GradSampleModule(network)
    return module


def _functorch(network: nn.Module) -> nn.Module:
    module: nn.Module = GradSampleModule(network, force_functorch=True)
    return module


def _expanded_weights(network: nn.Module) -> nn.Module:
    module: nn.Module = GradSampleModuleExpandedWeights(network)
    return module


def opacus(problem: StepProblem, wrap: Callable[[nn.Module], nn.Module]) -> Step:
    """Opacus' own optimiser after one pass of `wrap`'s module, noise by `torch.normal`."""
    network = plainly_laid_out(problem.network())
    called = _Called(wrap(network))
    optimiser = DPOptimizer(
        torch.optim.SGD(network.parameters(), LEARNING_RATE),
        noise_multiplier=NOISE_MULTIPLIER,
        max_grad_norm=CLIP_NORM,
        expected_batch_size=len(problem.batch),
    )

    def step() -> None:
        optimiser.zero_grad()
        problem.task.loss(called, problem.batch).mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def ghost(problem: StepProblem) -> Step:
    """Opacus' ghost clipping: norms without gradients, and a second backward pass with weighted losses."""
    network = plainly_laid_out(problem.network())
    module: Any = GradSampleModuleFastGradientClipping(network, max_grad_norm=CLIP_NORM, use_ghost_clipping=True)
    called = _Called(module)
    optimiser = DPOptimizerFastGradientClipping(
        torch.optim.SGD(network.parameters(), LEARNING_RATE),
        noise_multiplier=NOISE_MULTIPLIER,
        max_grad_norm=CLIP_NORM,
        expected_batch_size=len(problem.batch),
    )

    def step() -> None:
        optimiser.zero_grad()
        losses = problem.task.loss(called, problem.batch)
        DPTensorFastGradientClipping(module, optimiser, losses).backward()
        optimiser.step()

    return step


OPACUS: dict[str, Callable[[StepProblem], Step]] = {
    "Opacus hooks": lambda problem: opacus(problem, _hooks),
    "Opacus functorch": lambda problem: opacus(problem, _functorch),
    "Opacus expanded weights": lambda problem: opacus(problem, _expanded_weights),
    "Opacus ghost clipping": ghost,
}
