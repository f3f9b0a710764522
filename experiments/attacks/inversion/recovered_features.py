"""Features of a single case that its gradient tells in closed form, and how far an image is from having them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from experiments.attacks.inversion.convolution_inputs import Convolution, Input, input_of_convolution, tells_its_input
from experiments.attacks.inversion.layers import Layer
from experiments.attacks.inversion.problem import InversionProblem
from experiments.attacks.inversion.unet_shortcut import shortcut_features

LARGEST_DOUBT = 0.02
"""A thousandth and less were seen of gradients in float32, a tenth and more of wrong ranks."""
MOST_LAYERS = 3
FAINTEST = 1e-3
"""Of the largest feature: what is below is taken for the zero of a ReLU."""
SMALLEST_SCALE = 0.1
"""Features told are of mean square near 1; those of a network with group normalisation are too."""


@dataclass(frozen=True)
class Told:
    """narrow: (1, channels, *sides) that the layer of this name was shown, of any scale. shortcut: the same of what
    the layer of that name gave; "" where nothing is told of it. doubt: as in `Input`."""

    layer: str
    narrow: Tensor
    doubt: float
    above: str = ""
    shortcut: Tensor = field(default_factory=lambda: torch.zeros(0))

    def on(self, device: torch.device) -> Told:
        """The same on a device; it is worked out on the CPU, where closed forms are."""
        return replace(self, narrow=self.narrow.to(device), shortcut=self.shortcut.to(device))

    def mismatch(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Squared difference of the features that the inputs have and those told, relative, summed over both."""
        shown = _shown(network, self.layer, self.above, inputs)
        value = _apart(shown[0], self.narrow)
        return value + _apart(shown[1], self.shortcut) if self.above else value


def told_by(problem: InversionProblem, layers: Sequence[Layer]) -> Told | None:
    """What is told of the first layer that tells its input, and of a U-Net's last shortcut. layers: in order.

    None where no layer is such.
    """
    able = [
        one for one in layers if one.seen.dim() > 2 and tells_its_input(one.module, one.seen.shape[1], _sides(one))
    ]
    if not able:
        return None
    gradients = {id(one): part for one, part in zip(problem.victim.parameters, problem.captured, strict=True)}
    layer, found = _surest(able, gradients)
    narrow, network, dtype = cast(Convolution, layer.module), problem.victim.network, problem.victim.dtype
    told = Told(layer.name, _cleaned(found.values).to(dtype), found.doubt)
    shortcut = shortcut_features(network, narrow, found.values, gradients)
    if shortcut is None:
        return told
    names = {id(module): name for name, module in network.named_modules()}
    return Told(told.layer, told.narrow, told.doubt, names[id(shortcut[0])], _cleaned(shortcut[1]).to(dtype))


def _surest(able: Sequence[Layer], gradients: Mapping[int, Tensor]) -> tuple[Layer, Input]:
    """The first that leaves no doubt, or the one of the least."""
    found = []
    for layer in able[:MOST_LAYERS]:
        module = cast(Convolution, layer.module)
        found.append((layer, input_of_convolution(gradients[id(module.weight)], module, _sides(layer))))
        if found[-1][1].doubt <= LARGEST_DOUBT:
            return found[-1]
    return min(found, key=lambda pair: pair[1].doubt)


def _sides(layer: Layer) -> tuple[int, ...]:
    return tuple(layer.seen.shape[2:])


def _cleaned(values: Tensor) -> Tensor:
    return values.where(values > FAINTEST * values.max(), 0)[None]


def _apart(now: Tensor, told: Tensor) -> Tensor:
    """Where the told feature is 0, now need only not be positive: behind a ReLU nothing else is known of it."""
    scale = ((now * told).sum() / told.square().sum()).clamp_min(SMALLEST_SCALE)
    difference = torch.where(told > 0, now - scale * told, now.clamp(min=0))
    return difference.square().sum() / (scale * told).square().sum()


class _SeenError(Exception):
    """The network need not run on."""


def _shown(network: nn.Module, layer: str, above: str, inputs: Tensor) -> list[Tensor]:
    """What `layer` is shown, and what `above` gives, when the network runs as far as that."""
    found: list[Tensor] = []

    def stop(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        found.insert(0, arguments[0])
        raise _SeenError

    def note(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        found.append(output)

    hooks = [network.get_submodule(layer).register_forward_pre_hook(stop)]
    hooks += [network.get_submodule(above).register_forward_hook(note)] if above else []
    try:
        network(inputs)
    except _SeenError:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return found
