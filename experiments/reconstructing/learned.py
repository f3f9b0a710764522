"""A run's model as a method of reconstruction: for the operator it learned with, or for another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.tasks._reconstruction import Reconstruction
from common.reconstruction.packing import Layout
from common.study.options import Entry
from experiments.prediction.trained import Trained, load_trained

Predict = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
"""Images of range 1 of data, and the operator's parameters of each case."""


class Denoising(Protocol):
    """A network that takes noise off images."""

    def denoised(self, images: Tensor, level: Tensor) -> Tensor:
        """(N, C, *S). level: (N,) as a share of the data range."""
        ...


@dataclass(frozen=True, eq=False)
class Learned:
    """A run's task and network."""

    trained: Trained
    task: Reconstruction

    @property
    def operator(self) -> Entry:
        """That it was trained with."""
        return self.task.operator

    @property
    def facts(self) -> dict[str, Any]:
        """Of the model, for a table and JSON."""
        return {
            "task": self.trained.entries["task"].name,
            "study": self.trained.title,
            "model_sha256": self.trained.model_sha256,
            "trained_with": self.operator.name,
        }

    def fitted(self, operator: Entry, image_shape: tuple[int, ...]) -> Predict:
        """For this operator and size.

        Raises StudyError where the network's parameters are of one operator or one size alone.
        """
        task = replace(self.task, operator=operator)
        layout = Layout.of(task._operator, image_shape)
        own = layout.inputs_shape == self.trained.learned.shape.inputs and layout.operator == self.task._operator
        unit = self.task.data_range
        network = self.trained.network if own else self._rebuilt(task, layout)

        def predict(measured: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
            with torch.no_grad():
                return _finite(task.predict(network, layout.pack(measured * unit, parameters)) / unit)

        return predict

    def denoiser(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Images of range 1 and the noise's standard deviation (N,), to images without it."""
        network, unit = self.trained.network, self.task.data_range
        if not hasattr(network, "denoised"):
            raise StudyError(
                f"method 'plug_and_play' needs a run whose task is 'denoiser'; this one's is "
                f"{self.trained.entries['task'].name!r}: without --method its model is used as it learned to be."
            )

        def denoise(images: Tensor, noise: Tensor) -> Tensor:
            with torch.no_grad():
                found = cast(Denoising, network).denoised((images * unit).float(), noise.float())
            return found.to(images) / unit

        return denoise

    def _way_out(self) -> str:
        if hasattr(self.trained.network, "denoised"):
            return "Its denoiser takes any operator: --method falling_denoiser."
        return "Networks that are told the operator (unrolled, generator) take others."

    def _rebuilt(self, task: Reconstruction, layout: Layout) -> nn.Module:
        network: nn.Module = task.build_network(Shape(layout.inputs_shape, 0)).eval()  # type: ignore[attr-defined]
        held = self.trained.network.state_dict()
        wanted = network.state_dict()
        if {name: tuple(one.shape) for name, one in held.items()} != {
            name: tuple(one.shape) for name, one in wanted.items()
        }:
            raise StudyError(
                f"the run's model is of operator {self.operator.name!r} and inputs of the shape "
                f"{self.trained.learned.shape.inputs} alone; these data make inputs of {layout.inputs_shape}. "
                f"{self._way_out()}"
            )
        network.load_state_dict(held)
        return network


def _finite(images: Tensor) -> Tensor:
    if not torch.isfinite(images).all():
        raise StudyError("the run's model answers numbers that are not finite: it has diverged.")
    return images


def load_learned(folder: Path) -> Learned:
    """Of a run folder or bundle. Raises StudyError where its task is no reconstruction."""
    trained = load_trained(folder)
    if not isinstance(trained.task, Reconstruction):
        raise StudyError(
            f"--run must be of a task that reconstructs, such as 'unrolled'; {folder} learned "
            f"{trained.entries['task'].name!r}."
        )
    return Learned(trained, trained.task)
