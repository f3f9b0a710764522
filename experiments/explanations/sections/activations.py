"""What the layers answer about one case, from the first to the last, and what one neuron looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from common.attribution.aims import FeatureMap
from common.attribution.looks.activations import Activation
from common.attribution.looks.activations import activations as activations_of
from common.attribution.methods.grad_cam import as_map
from common.attribution.methods.saliency import Saliency
from common.errors import WardroundError
from common.seeding import generator
from experiments.explanations.clock import Clock
from experiments.explanations.pictures import SIDE, grey_picture, overlay, shown, sliced, strip, tile
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.subject import Subject
from server.reporting.markup import Markup, tag
from server.reporting.sections.layout import figure, numbers, section

KEY = "activations"
MOST_MAPS = 6
MOST_LAYERS = 12
SEEN = 5


@dataclass(frozen=True, eq=False)
class Layer:
    """maps: (K, *S) of one case. shown: channels that are drawn, the most varied first. looked: (C, *S) where in the
    case the first of them looks: its saliency; None where it has none.
    """

    path: str
    kind: str
    maps: Tensor
    shown: tuple[int, ...]
    looked: Tensor | None


@dataclass(frozen=True, eq=False)
class Activations:
    """image: (C, *S) of the case. what: of it, in words."""

    image: Tensor
    what: str
    layers: tuple[Layer, ...]
    left_out: int

    @property
    def word(self) -> str:
        """In the contents."""
        return "Layers"

    def finding(self) -> str:
        """None."""
        return ""

    def facts(self) -> Mapping[str, Any]:
        """Sizes; the maps are of one case, and in the page alone."""
        return {
            "layers": [
                {"path": one.path, "kind": one.kind, "shape": list(one.maps.shape), "shown": list(one.shown)}
                for one in self.layers
            ]
        }

    def markup(self) -> Markup:
        """A strip a layer."""
        lede = (
            f"The way of one case through the network: {self.what}. Each picture is one neuron map: bright where it "
            "answers. Early layers answer edges and greys; deeper ones are coarser and answer what the task needs. "
            "The last picture of a row, in colour, shows which pixels of the case the first map of that row rests on."
        )
        rows = [self._row(number, one) for number, one in enumerate(self.layers, 1)]
        rest = numbers(f"{len(rows) - SEEN} more layers", *rows[SEEN:]) if rows[SEEN:] else None
        left = (
            tag("p", f"{self.left_out} layers between these are left out.", class_="note") if self.left_out else None
        )
        return section(KEY, "What happens to a case on its way?", lede, *rows[:SEEN], rest, left)

    def _row(self, number: int, one: Layer) -> Markup:
        tiles = [shown(grey_picture(sliced(self.image), SIDE), "the case")]
        tiles += [
            shown(tile(sliced(one.maps[k : k + 1])[0], side=SIDE), f"map {k}", alt=f"layer {number}, map {k}")
            for k in one.shown
        ]
        if one.looked is not None:
            picture = overlay(sliced(self.image), sliced(one.looked), signed=False)
            tiles.append(shown(picture, f"what map {one.shown[0]} rests on"))
        size = " x ".join(map(str, one.maps.shape[1:]))
        title = f"Layer {number}: {one.path or one.kind} ({one.kind}), {len(one.maps)} maps of {size}"
        return figure(title, strip(tiles))


def activations(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """Of images; None where the network has no maps."""
    pool = subject.pool
    if pool is None or pool.is_table:
        return None
    clock.say("Layer by layer")
    chosen = pool.chosen(asked.cases)
    if not chosen:
        return None
    network, place = subject.answering.network, chosen[0].place
    case = pool.inputs[place : place + 1]
    found = [(one, maps) for one in activations_of(network, case) if (maps := _maps(network, one, case)) is not None]
    kept = _spread(len(found), MOST_LAYERS)
    layers = tuple(_layer(network, *found[k], case, asked.seed) for k in kept)
    what = f"{pool.told[place].answer}, {chosen[0].why}, of {pool.sites[place]}"
    return Activations(case[0], what, layers, len(found) - len(kept)) if layers else None


def _spread(count: int, most: int) -> list[int]:
    """At most so many places, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(k * (count - 1) / (most - 1)) for k in range(most)})


def _maps(network: nn.Module, one: Activation, case: Tensor) -> Tensor | None:
    """(K, *S) of several places."""
    maps = as_map(network, one.values, case) if len(one.values) == 1 and one.values.ndim > 2 else None
    return maps[0] if maps is not None and maps[0, 0].numel() > 1 else None


def _layer(network: nn.Module, one: Activation, maps: Tensor, case: Tensor, seed: int) -> Layer:
    varied = maps.flatten(1).std(1).argsort(descending=True)[:MOST_MAPS].tolist()
    looked = None
    if one.path and one.values.ndim == case.ndim:
        try:
            rng = generator(seed, one.path, "activations")
            looked = Saliency().explain(network, case, FeatureMap(one.path, varied[0]), rng)[0]
        except WardroundError:
            looked = None
    return Layer(one.path, one.kind, maps, tuple(varied), None if looked is None or not torch.any(looked) else looked)


make: Make = activations
