"""Maps of captum 0.9.0 and zennit 0.5.1 as numbers, for which neither need be installed.

Networks have weights and inputs by formula, so that the numbers are theirs on any machine. Where both are installed,
`python -m tests.common.attribution.second_libraries` writes them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from common.learning.layers import ChannelsLast

NUMBERS = Path(__file__).with_name("second_libraries.json")
CASES, CLASSES = 2, 2
WINDOW, STRIDE = 3, 2
MAP_LAYER = {"image": "body.1", "volume": "2", "functional": "second"}


class Functional(nn.Module):
    """Functions in the place of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.last = nn.Linear(4 * 9, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        """A convolution, a ReLU, the largest of 2 x 2, another, and a linear layer."""
        features = max_pool2d(relu(self.first(inputs)), 2)
        answer: Tensor = self.last(relu(self.second(features)).flatten(1))
        return answer


def image(in_place: bool) -> nn.Module:
    """Group normalisation, ReLU, largest values, channels innermost."""
    body = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.GroupNorm(2, 4),
        nn.ReLU(inplace=in_place),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(inplace=in_place),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, CLASSES),
    )
    return ChannelsLast(body)


def volume(in_place: bool) -> nn.Module:
    """Three dimensions."""
    return nn.Sequential(
        nn.Conv3d(1, 3, 3, padding=1),
        nn.ReLU(inplace=in_place),
        nn.MaxPool3d(2),
        nn.Flatten(),
        nn.Linear(3 * 8, 5),
        nn.ReLU(inplace=in_place),
        nn.Linear(5, CLASSES),
    )


def table(in_place: bool) -> nn.Module:
    """Two hidden layers."""
    layers = [nn.Linear(5, 6), nn.ReLU(inplace=in_place), nn.Linear(6, 4), nn.ReLU(inplace=in_place)]
    return nn.Sequential(*layers, nn.Linear(4, CLASSES))


NETWORKS: dict[str, tuple[Callable[[bool], nn.Module], tuple[int, ...]]] = {
    "image": (image, (2, 6, 6)),
    "functional": (lambda _: Functional(), (1, 6, 6)),
    "volume": (volume, (1, 4, 4, 4)),
    "table": (table, (5,)),
}


def network_and_inputs(name: str, in_place: bool = True) -> tuple[nn.Module, Tensor]:
    """By formula: sines of rising numbers."""
    made, shape = NETWORKS[name]
    network = made(in_place).eval()
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters(), 1):
            parameter.copy_(waves(tuple(parameter.shape), 0.7 + number, 2.0 / max(1, parameter[0].numel()) ** 0.5))
    return network, waves((CASES, *shape), 0.37, 1.0)


def waves(shape: tuple[int, ...], step: float, size: float) -> Tensor:
    """size * sin(step * (1, 2, 3, ...)), float32."""
    count = int(torch.Size(shape).numel())
    return (size * torch.sin(step * torch.arange(1, count + 1, dtype=torch.float64))).float().reshape(shape)


def classes() -> Tensor:
    """One of each."""
    return torch.arange(CASES) % CLASSES


def captum_maps(name: str) -> dict[str, Tensor]:
    """By method."""
    captum: Any = import_module("captum.attr")
    network, inputs = network_and_inputs(name, in_place=False)
    sides = inputs.ndim - 2
    window = ((inputs.shape[1], *(WINDOW,) * sides), (1, *(STRIDE,) * sides)) if sides else ((1,), (1,))
    asked: dict[str, Any] = {"target": classes()}
    found = {
        "saliency": captum.Saliency(network).attribute(inputs, **asked),
        "gradient_x_input": captum.InputXGradient(network).attribute(inputs, **asked),
        "gauss": captum.IntegratedGradients(network).attribute(inputs, n_steps=20, **asked),
        "midpoint": captum.IntegratedGradients(network).attribute(
            inputs, baselines=0.25, n_steps=20, method="riemann_middle", **asked
        ),
        "occlusion": captum.Occlusion(network).attribute(
            inputs, sliding_window_shapes=window[0], strides=window[1], baselines=0.25, **asked
        ),
    }
    if name != "functional":  # captum rules modules alone
        found["deconvnet"] = captum.Deconvolution(network).attribute(inputs, **asked)
        found["guided_backpropagation"] = captum.GuidedBackprop(network).attribute(inputs, **asked)
    if name in MAP_LAYER:
        layer = network.get_submodule(MAP_LAYER[name])
        coarse = captum.LayerGradCam(network, layer).attribute(inputs, relu_attributions=True, **asked)
        found["grad_cam"] = captum.LayerAttribution.interpolate(coarse, tuple(inputs.shape[2:]))
    return {method: one.detach() for method, one in found.items()}


def zennit_maps(name: str) -> dict[str, Tensor]:
    """Of a network of modules, by method."""
    composites, attribution = import_module("zennit.composites"), import_module("zennit.attribution")
    network, inputs = network_and_inputs(name, in_place=False)
    chosen = torch.eye(CLASSES)[classes()]
    rules = {"deconvnet": composites.DeconvNet(), "guided_backpropagation": composites.GuidedBackprop()}
    found = {}
    for method, composite in rules.items():
        with attribution.Gradient(model=network, composite=composite) as gradient:
            found[method] = gradient(inputs, chosen)[1].detach()
    return found


def write() -> None:
    """All of them."""
    found = {
        "captum": {name: captum_maps(name) for name in NETWORKS},
        "zennit": {name: zennit_maps(name) for name in NETWORKS if name != "functional"},
    }
    listed = {
        library: {
            name: {
                method: [float(f"{value:.8g}") for value in one.flatten().tolist()] for method, one in maps.items()
            }
            for name, maps in networks.items()
        }
        for library, networks in found.items()
    }
    NUMBERS.write_text(json.dumps(listed) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
