"""Where the maps of a late layer answer, each weighed by how the aim rests on it: coarse, and of places alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from common.attribution.aim import Aim
from common.attribution.attribution import Attribution
from common.attribution.gradients import asked
from common.attribution.layers import answers_by_layer, kept, layer_named
from common.errors import AttributionError
from common.study.checks import one_of

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class GradCam:
    """layer: whose maps, as the network calls it ("body.4"); "": the last that answers with maps of several places,
    but for the answer itself. relu: whether only what speaks for the answer is kept, as in the paper. upsampling: of
    the layer's maps to the image's size, "linear" or "nearest".

    A transformer's tokens are a map where they are those of patches: the last that attention mixes.
    """

    source: ClassVar[str] = "Selvaraju et al. 2017, Grad-CAM (ICCV), equations 1 and 2"
    signed: ClassVar[bool] = True

    layer: str = ""
    relu: bool = True
    upsampling: Literal["linear", "nearest"] = "linear"

    def __post_init__(self) -> None:
        one_of("grad_cam", ("linear", "nearest"), upsampling=self.upsampling)

    def explain(self, network: nn.Module, inputs: Tensor, aim: Aim, rng: np.random.Generator) -> Tensor:
        """(N, 1, *S). Raises AttributionError where no layer has maps, UnknownNameError for one that is not there."""
        if inputs.ndim < 3:
            raise AttributionError(
                "grad_cam is of images, and a table's layers have no places: take integrated_gradients."
            )
        name = self.layer or last_map(network, inputs)
        answer, gradient = _answer_and_gradient(network, name, inputs, aim)
        maps, slopes = (as_map(network, one, inputs) for one in (answer, gradient))
        if maps is None or slopes is None:
            raise AttributionError(f"layer {name!r} answers {tuple(answer.shape)}, which is no map of the image.")
        weights = slopes.flatten(2).mean(2)
        found = torch.einsum("nk,nk...->n...", weights, maps)[:, None]
        found = found.relu() if self.relu else found
        mode = "nearest" if self.upsampling == "nearest" else LINEAR[inputs.ndim - 2]
        return interpolate(found.float(), tuple(inputs.shape[2:]), mode=mode)


def last_map(network: nn.Module, inputs: Tensor) -> str:
    """The layer that Grad-CAM takes by itself. Raises AttributionError where none answers with maps."""
    answers = answers_by_layer(network, inputs[:1])
    names = [name for name, answer in answers.items() if _places(as_map(network, answer, inputs)) > 1]
    if grid_of_tokens(network, inputs):
        names = [name for name in names if name.endswith("attention_norm")] or names
    if not names:
        raise AttributionError(
            "grad_cam needs a layer whose answer is a map, (N, channels, *places), and this network has none beside "
            "its answer: take occlusion or integrated_gradients."
        )
    return names[-1]


def as_map(network: nn.Module, answer: Tensor, inputs: Tensor) -> Tensor | None:
    """(N, K, *places) of what a layer answers, of a transformer its patches' tokens; None where it is no map."""
    if answer.ndim == inputs.ndim:
        return answer
    grid = grid_of_tokens(network, inputs)
    if not grid or answer.ndim != 3 or answer.shape[1] < prod(grid):
        return None
    return answer[:, -prod(grid) :].movedim(1, 2).reshape(len(answer), -1, *grid)


def grid_of_tokens(network: nn.Module, inputs: Tensor) -> tuple[int, ...]:
    """How many patches lie along each axis, of a network that says how large its `patch` is; () for others."""
    for module in network.modules():
        patch = getattr(module, "patch", None)
        if (
            isinstance(patch, Sequence)
            and len(patch) == inputs.ndim - 2
            and all(isinstance(one, int) for one in patch)
        ):
            return tuple(side // one for side, one in zip(inputs.shape[2:], patch, strict=True))
    return ()


def _places(maps: Tensor | None) -> int:
    return 0 if maps is None else prod(maps.shape[2:])


def _answer_and_gradient(network: nn.Module, name: str, inputs: Tensor, aim: Aim) -> tuple[Tensor, Tensor]:
    leaf = inputs.detach().clone().requires_grad_(True)
    with kept(layer_named(network, name)) as answers, asked(network), torch.enable_grad():
        value = aim.values(network, leaf).sum()
        answer = answers[-1] if answers else None
        found = None
        if answer is not None and value.requires_grad and answer.requires_grad:
            (found,) = torch.autograd.grad(value, answer, allow_unused=True)
    if answer is not None and len(answer) != len(inputs):
        raise AttributionError(
            f"layer {name!r} is shown the cases in parts (windows, patches), so it has no one map of a case: take "
            "occlusion or integrated_gradients."
        )
    if answer is None or found is None:
        raise AttributionError(f"{aim.words} does not depend on what layer {name!r} answers.")
    return answer.detach(), found.detach()


attribution: type[Attribution] = GradCam
