"""A structural causal model of images and their causes: what an image would look like, had a cause been another.

Every cause has a mechanism given its parents, a flow, and the image one given its causes, a conditional VAE
(Pawlowski et al. 2020, Deep structural causal models; De Sousa Ribeiro et al. 2023 for the hierarchy of latents).
Counterfactuals come by abduction, action and prediction (`common.causality.deep.model`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from common.causality.deep.axioms import composition, effectiveness, grey_distance, reversibility
from common.causality.deep.measures import MEASURES
from common.causality.deep.model import IMAGE, Cause, DeepModel, told_width
from common.causality.graph import Graph
from common.causality.graph_text import graph_of_text
from common.data.cases import Batch, Shape
from common.errors import GraphError, StudyError
from common.learning.abilities import Drawn
from common.learning.device import exact_copy, home
from common.learning.task import Task
from common.learning.tasks._network import build_fitting
from common.seeding import case_generators
from common.study.catalogue import NETWORKS
from common.study.checks import between, listed, one_of, positive
from common.study.options import EXAMPLE, Entry
from common.sums.mean import Mean

READER_CHANNELS, READER_STRIDE = 8, 4
LARGEST_LOSS = 1e4
"""In scores alone: a model that is sure and wrong does not make a sum overflow."""


@dataclass(frozen=True)
class DeepScm:
    """graph: arrows between causes and `image`, such as "age -> volume; age & volume -> image". causes: each a table,
    in the order of the columns of targets: name, center and spread (public constants, in the cause's own unit), or
    classes, how many there are; flow, "affine" or "spline"; measure, how it is measured in an image. network: the
    image's mechanism. beta: weight of the latents' nats in the loss: below 1 images are made again more exactly, and
    noise that is drawn makes less likely ones.

    Inputs are (N, C, H, W) images in [0, 1], targets (N, causes). Where the source knows them, (N, A, causes) `done`
    are values under action number a, of the cause number a, and (N, A, C, H, W) `counterfactual` the true images.

    Scores, means over cases, distances in grey levels of 0 to 255: fidelity, the share of an image's variance that is
    explained where it is made again of its latents alone; composition, the distance to the image made so (with the
    pixels' noise kept it is 0); for every cause distance_NAME, to the true counterfactual; effectiveness_NAME,
    between what was set and what is measured in the image, in its own unit; reversibility_NAME, there and back; loss,
    in nats a pixel and cause.
    """

    headline: ClassVar[str] = "fidelity"
    views: ClassVar[tuple[str, ...]] = ("noise",)
    drawn: ClassVar[Drawn] = "panels"

    graph: str = field(metadata={EXAMPLE: 'graph = "age -> volume; age & volume -> image"'})
    causes: tuple[Cause, ...] = field(metadata={EXAMPLE: 'causes = [{ name = "age", center = 60, spread = 12 }]'})
    network: Entry = field(default_factory=lambda: Entry("conditional_ladder"))
    beta: float = 1.0

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)
        positive("task", beta=self.beta)
        listed("task", causes=[cause.name for cause in self.causes])
        for index, cause in enumerate(self.causes):
            self._check_cause(cause, f"task.causes[{index}]")
        self._check_graph()

    @property
    def answer_names(self) -> tuple[str, ...]:
        """Causes."""
        return tuple(cause.name for cause in self.causes)

    @cached_property
    def causal_graph(self) -> Graph:
        """Of causes and the image."""
        try:
            return graph_of_text(self.graph)
        except GraphError as error:
            raise StudyError(f"task.graph: {error}") from error

    def build_network(self, shape: Shape) -> nn.Module:
        """A `DeepModel`. Raises StudyError where cases are no images, or are of classes."""
        if shape.classes or len(shape.inputs) != 3:
            held = f"of {shape.classes} classes" if shape.classes else f"of shape {shape.inputs}"
            raise StudyError(
                f"task 'deep_scm' learns images (channels, height, width) with numbers as causes; the cases are "
                f"{held}."
            )
        image = build_fitting(self.network, self._image_shape(shape), shape.inputs, "deep_scm")
        lacking = [name for name in ("seen", "made", "drawn", "noise_length") if not hasattr(image, name)]
        if lacking:
            raise StudyError(
                f"network {self.network.name!r} has no {lacking[0]!r}: it cannot say what noise made an image. "
                "Choose 'conditional_ladder'."
            )
        return DeepModel(self.causal_graph, self.causes, image, self._reader(shape))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32: nats of the image given its causes, a pixel; of causes given their parents; of the reader."""
        noise = batch.tensor("noise") if "noise" in batch.columns else None
        return self._losses(cast(DeepModel, network), batch.inputs, batch.targets.float(), noise)

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """In float64 as in classification, for the same reason."""
        exact = cast(DeepModel, exact_copy(network))
        with torch.no_grad():
            images, values = (part.to(home(exact)).double() for part in (batch.inputs, batch.targets))
            lost = self._losses(exact, images, values, None).clamp(-LARGEST_LOSS, LARGEST_LOSS)
            found = {"loss": _mean(lost), "fidelity": _mean(_explained(exact, images, values))}
            found["composition"] = _mean(composition(exact, images, values, keep_pixels=False))
            done = batch.tensor("done").to(home(exact)).double() if "done" in batch.columns else None
            for column, cause in enumerate(self.causes):
                to = self._action(column, values) if done is None else done[:, column, column]
                found |= self._of_action(exact, images, values, column, to)
                found[f"distance_{cause.name}"] = _distance(exact, images, values, batch, cause.name, column, to)
        return found

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Beside the batch, noise by which latents are drawn from the posterior."""
        shape = Shape(tuple(batch.inputs.shape[1:]), 0)
        length = cast(Any, NETWORKS.build(self.network)).noise_length(self._image_shape(shape))
        drawn = [one.standard_normal(length, dtype=np.float32) for one in case_generators(rng, len(batch))]
        return batch.with_columns(noise=torch.from_numpy(np.stack(drawn)))

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, causes) float32: what an image says of its causes, in their units; classes by their number."""
        read = network(inputs).float().split([cause.width for cause in self.causes], 1)
        columns = [
            part.argmax(1).float() if cause.classes else cause.center + cause.spread * part[:, 0]
            for cause, part in zip(self.causes, read, strict=True)
        ]
        return torch.stack(columns, 1)

    def target_form(self, shape: Shape) -> tuple[int, ...]:
        """A target is the values of all causes."""
        return (len(self.causes),)

    def meaning(self, value: str) -> str:
        """Of the network's answer."""
        return f"what an image says of its causes: {', '.join(self.answer_names)}"

    def panels(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The image, made again, and with every cause a spread away; the true ones beside where they are known."""
        model, images, values = cast(DeepModel, network), batch.inputs, batch.targets.float()
        images, values = images.to(home(network)), values.to(home(network))
        shown = {"image": images, "made again": model.counterfactual(images, values, {}, keep_pixels=False)[0]}
        for column, cause in enumerate(self.causes):
            to = self._action(column, values)
            if "done" in batch.columns:
                to = batch.tensor("done").to(to.device, to.dtype)[:, column, column]
            shown[f"do({cause.name} = {float(to[0]):.3g})"] = model.counterfactual(images, values, {cause.name: to})[
                0
            ]
            if "counterfactual" in batch.columns:
                shown[f"true, {cause.name}"] = batch.tensor("counterfactual")[:, column]
        return {name: one[0, 0].clamp(0, 1).cpu() for name, one in shown.items()}

    def _losses(self, model: DeepModel, images: Tensor, values: Tensor, noise: Tensor | None) -> Tensor:
        seen = model.seen(images, values, noise)
        nats = seen.negative_log_likelihood(images) + self.beta * seen.divergence
        losses = nats / images[0].numel()
        for one in model.cause_losses(values).values():
            losses = losses + one / len(self.causes)
        parts = model(images).split([cause.width for cause in self.causes], 1)
        for (column, cause), part in zip(enumerate(self.causes), parts, strict=True):
            told = model.mechanism(cause.name).told(values[:, column])
            wrong = -(part.log_softmax(1) * told).sum(1) if cause.classes else (part - told).square().sum(1)
            losses = losses + wrong / len(self.causes)
        return losses

    def _of_action(
        self, model: DeepModel, images: Tensor, values: Tensor, column: int, to: Tensor
    ) -> dict[str, Mean]:
        cause = self.causes[column]
        back = reversibility(model, images, values, cause.name, column, to)
        found = {f"reversibility_{cause.name}": _mean(back)}
        if cause.measure:
            missed = effectiveness(model, images, values, cause.name, to, MEASURES[cause.measure])
            found[f"effectiveness_{cause.name}"] = _mean(missed)
        return found

    def _action(self, column: int, values: Tensor) -> Tensor:
        """(N,) a spread to the other side of the center, or the next class."""
        cause, given = self.causes[column], values[:, column]
        if cause.classes:
            return (given + 1) % cause.classes
        return cause.center + cause.spread * torch.where(given < cause.center, 1.0, -1.0).to(given)

    def _reader(self, shape: Shape) -> nn.Module:
        stride = min(READER_STRIDE, *shape.inputs[1:])
        places = (shape.inputs[1] // stride) * (shape.inputs[2] // stride)
        return nn.Sequential(
            nn.Conv2d(shape.inputs[0], READER_CHANNELS, stride, stride=stride),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(READER_CHANNELS * places, sum(cause.width for cause in self.causes)),
        )

    def _image_shape(self, shape: Shape) -> Shape:
        """As the image's network is asked for: planes of what it is told of causes beside the image."""
        channels, *sides = shape.inputs
        told = told_width(self.causes, self.causal_graph.parents[IMAGE])
        return Shape((channels + told, *sides), channels)

    def _check_cause(self, cause: Cause, where: str) -> None:
        positive(where, spread=cause.spread)
        between(where, -1e30, 1e30, center=cause.center, spread=cause.spread)
        between(where, 0, 1000, classes=cause.classes)
        if cause.classes == 1 or cause.name == IMAGE or "." in cause.name:
            what = "classes must be 2 or more, or 0 of a number" if cause.classes == 1 else "name must be another"
            raise StudyError(f"{where}.{what}; it is {cause.classes if cause.classes == 1 else cause.name!r}.")
        if cause.measure:
            one_of(where, MEASURES, measure=cause.measure)
        if cause.flow == "spline":
            from common.extras import demand

            demand(f"{where}.flow = 'spline'", "zuko")

    def _check_graph(self) -> None:
        graph, named = self.causal_graph, [*self.answer_names, IMAGE]
        for name in graph.nodes:
            one_of("task", named, graph=name)
        missing = [name for name in named if name not in graph.names]
        if missing or graph.pairs or graph.children[IMAGE] or not graph.parents[IMAGE]:
            raise StudyError(
                "task.graph must have arrows from causes to 'image', none from it, and no double arrow, and name "
                f"every cause; it is {self.graph!r}" + (f" and lacks {missing[0]!r}." if missing else ".")
            )


def _distance(
    model: DeepModel, images: Tensor, values: Tensor, batch: Batch, name: str, column: int, to: Tensor
) -> Mean:
    """To the true counterfactual; no case's where it is not known."""
    if "counterfactual" not in batch.columns:
        return Mean()
    made, _ = model.counterfactual(images, values, {name: to})
    return _mean(grey_distance(made, batch.tensor("counterfactual")[:, column].to(made)))


def _explained(model: DeepModel, images: Tensor, values: Tensor) -> Tensor:
    """(N,) 1 - squared error of the image made again / squared distance to its own mean; 0 for an even image."""
    made, _ = model.counterfactual(images, values, {}, keep_pixels=False)
    wrong = (made - images).square().flatten(1).sum(1)
    spread = (images - images.mean((1, 2, 3), keepdim=True)).square().flatten(1).sum(1)
    return torch.where(spread > 0, 1 - (wrong / spread.clamp(min=1e-9)).clamp(max=LARGEST_LOSS), 0.0)


def _mean(values: Tensor) -> Mean:
    return Mean.of(values.float().cpu().tolist())


task: type[Task] = DeepScm
