"""A structural causal model of an image and its causes: abduction, action, prediction (Pawlowski et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import torch
from torch import Tensor, nn

from common.causality.deep.attributes import Classes, Flow, Mechanism, Number
from common.causality.deep.ladder import ImageNoise, Pass
from common.causality.graph import Graph
from common.study.spelling import unknown

IMAGE = "image"
Path = Literal["total", "direct", "indirect"]


@dataclass(frozen=True)
class Cause:
    """One variable beside the image.

    center, spread: public constants about which a number is learned, in its own unit. classes: how many it has where
    it is one of some; 0: a number. flow: of a number given its parents. measure: how it is measured in an image
    (`common.causality.deep.measures`); "" where it cannot be.
    """

    name: str
    center: float = 0.0
    spread: float = 1.0
    classes: int = 0
    flow: Flow = "affine"
    measure: str = ""

    @property
    def width(self) -> int:
        """How many numbers a network is told of it."""
        return self.classes or 1

    def mechanism(self, parents: int) -> Mechanism:
        """Fresh, for parents of so many numbers."""
        if self.classes:
            return Classes(self.classes, parents)
        return Number(self.center, self.spread, parents, self.flow)


class ImageMechanism(Protocol):
    """The network of an image given its causes: what `ConditionalLadder` offers. `seen` says how its latents are."""

    noise_length: int

    def seen(self, images: Tensor, causes: Tensor, noise: Tensor | None = None) -> Pass:
        """The posterior's latents of images, at their middle or by standard normal noise, and what they make."""
        ...

    def made(self, causes: Tensor, latents: Sequence[Tensor]) -> Pass:
        """What known latents make with these causes."""
        ...

    def drawn(self, noise: Tensor) -> tuple[Tensor, ...]:
        """Latents of nobody's image, by standard normal noise."""
        ...


@dataclass(frozen=True)
class Noise:
    """All that made one's image beside causes: causes' noise by name, and the image's."""

    causes: Mapping[str, Tensor]
    image: ImageNoise


class DeepModel(nn.Module):
    """causes: in the order of columns of (N, K) values. graph: of them and `image`, which causes nothing.

    image: what makes an image of the parents that the graph gives it. reader: (N, C, H, W) -> (N, numbers of all
    causes), what an image says of its causes; no part of the causal model.
    """

    def __init__(self, graph: Graph, causes: Sequence[Cause], image: nn.Module, reader: nn.Module) -> None:
        super().__init__()
        self.graph, self.causes = graph, {cause.name: cause for cause in causes}
        self.columns = {cause.name: column for column, cause in enumerate(causes)}
        self.order = tuple(name for name in graph.order if name != IMAGE)
        self.attributes = nn.ModuleDict({
            name: cast(nn.Module, cause.mechanism(told_width(causes, graph.parents[name])))
            for name, cause in self.causes.items()
        })  # fmt: skip
        self.image, self.reader = image, reader

    def forward(self, images: Tensor) -> Tensor:
        """What images say of their causes: the reader's numbers."""
        read: Tensor = self.reader(images)
        return read

    @property
    def image_mechanism(self) -> ImageMechanism:
        """The image's network."""
        return cast(ImageMechanism, self.image)

    def mechanism(self, name: str) -> Mechanism:
        """Of a cause."""
        return cast(Mechanism, self.attributes[name])

    def told_parents(self, name: str, values: Tensor) -> Tensor:
        """(N, numbers) what the mechanism of a cause, or of the image, is told of (N, K) values."""
        parents = [one for one in self.causes if one in self.graph.parents[name]]
        told = [self.mechanism(one).told(values[:, self.columns[one]]) for one in parents]
        return torch.cat(told, 1) if told else values.new_zeros(len(values), 0)

    def cause_losses(self, values: Tensor) -> dict[str, Tensor]:
        """(N,) nats of each cause given its parents."""
        return {
            name: self.mechanism(name).losses(values[:, column], self.told_parents(name, values))
            for name, column in self.columns.items()
        }

    def seen(self, images: Tensor, values: Tensor, noise: Tensor | None = None) -> Pass:
        """What the image's mechanism finds in images of these causes."""
        return self.image_mechanism.seen(images, self.told_parents(IMAGE, values), noise)

    def abduct(
        self, images: Tensor, values: Tensor, noise: Tensor | None = None, uniform: Tensor | None = None
    ) -> Noise:
        """What made (N, C, H, W) images of (N, K) values: the middle of the posterior, or drawn from it.

        noise: (N, noise_length) standard normal for latents. uniform: (N, widest) in (0, 1) for classes' noise.
        """
        found = {
            name: self.mechanism(name).abduct(
                values[:, column],
                self.told_parents(name, values),
                None if uniform is None else uniform[:, : self.causes[name].width],
            )
            for name, column in self.columns.items()
        }
        seen = self.seen(images, values, noise)
        return Noise(found, ImageNoise(seen.latents, seen.pixels(images)))

    def act(self, noise: Noise, actions: Mapping[str, Tensor | float]) -> Tensor:
        """(N, K) values with the same noise, had these causes been set; others follow from their parents."""
        for name in actions:
            if name not in self.columns:
                raise unknown("cause", name, tuple(self.columns))
        count = len(noise.image.pixels)
        values = noise.image.pixels.new_zeros(count, len(self.columns))
        for name in self.order:
            if name in actions:
                made = torch.as_tensor(actions[name], dtype=values.dtype, device=values.device).expand(count)
            else:
                made = self.mechanism(name).value(noise.causes[name], self.told_parents(name, values))
            values = values.index_copy(1, torch.tensor([self.columns[name]], device=values.device), made[:, None])
        return values

    def predict(self, noise: ImageNoise, values: Tensor, keep_pixels: bool = True) -> Tensor:
        """(N, C, H, W) images of these causes. keep_pixels: with the pixels' own noise, or the mode without it."""
        made = self.image_mechanism.made(self.told_parents(IMAGE, values), noise.latents)
        return made.location + made.scale * noise.pixels if keep_pixels else made.location

    def counterfactual(
        self,
        images: Tensor,
        values: Tensor,
        actions: Mapping[str, Tensor | float],
        *,
        noise: Tensor | None = None,
        keep_pixels: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Images and values, had causes been set: abduction, action, prediction."""
        found = self.abduct(images, values, noise)
        acted = self.act(found, actions)
        return self.predict(found.image, acted, keep_pixels), acted

    def along(self, images: Tensor, values: Tensor, actions: Mapping[str, Tensor | float], path: Path) -> Tensor:
        """The counterfactual images along one kind of path (Pearl 2001, natural effects, of one case each).

        "total": all follows. "direct": the image alone is told of the action, and all between stays as it was.
        "indirect": the image is told only of what lies between, as it would have followed.
        """
        found = self.abduct(images, values)
        acted = self.act(found, actions)
        if path != "total":
            base, other = (values, acted) if path == "direct" else (acted, values)
            columns = [self.columns[name] for name in actions]
            acted = base.clone()
            acted[:, columns] = other[:, columns]
        return self.predict(found.image, acted)

    def sampled(self, noise: Tensor, draws: Mapping[str, Tensor]) -> Noise:
        """Noise of nobody: for observational and interventional images (`act`, then `predict`).

        noise: (N, noise_length) standard normal. draws: of each cause, standard normal (N,) or Gumbel (N, classes).
        """
        latents = self.image_mechanism.drawn(noise)
        shape = self.image_mechanism.made(noise.new_zeros(len(noise), self._told_image), latents).location
        return Noise(dict(draws), ImageNoise(latents, torch.zeros_like(shape)))

    @property
    def _told_image(self) -> int:
        return told_width(list(self.causes.values()), self.graph.parents[IMAGE])


def told_width(causes: Sequence[Cause], names: frozenset[str]) -> int:
    """How many numbers a mechanism is told of these causes."""
    return sum(cause.width for cause in causes if cause.name in names)
