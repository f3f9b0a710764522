"""Every attribution of ours keeps the laws that anybody's inherits, on every network of the catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.attribution.aim import Aim, Logits
from common.attribution.aims import Regions
from common.data.cases import Shape
from common.errors import AttributionError
from common.study.catalogue import ATTRIBUTIONS, NETWORKS
from common.study.options import Entry
from wardround.testing import AttributionTests
from wardround.testing.attributions import SHAPES, Tried, state_of

IMAGE = (1, 8, 8)
BUILT: dict[str, tuple[Entry, Shape]] = {
    "logistic": (Entry("logistic"), Shape((5,), 2)),
    "mlp": (Entry("mlp", {"hidden": [16]}), Shape((5,), 2)),
    "mcmahan_2nn": (Entry("mcmahan_2nn"), Shape(IMAGE, 2)),
    "mcmahan_cnn": (Entry("mcmahan_cnn"), Shape(IMAGE, 2)),
    "groupnorm_cnn": (Entry("groupnorm_cnn", {"channels": 4}), Shape(IMAGE, 2)),
    "groupnorm_cnn in 3D": (Entry("groupnorm_cnn", {"channels": 4, "standardised": True}), Shape((1, 4, 6, 4), 2)),
    "vit": (Entry("vit", {"width": 12, "heads": 2}), Shape(IMAGE, 2)),
    "vit with a class token": (Entry("vit", {"width": 12, "heads": 2, "pooling": "class_token"}), Shape(IMAGE, 2)),
    "vit in 3D": (Entry("vit", {"width": 12, "heads": 2, "patch": 2}), Shape((1, 4, 6, 4), 2)),
    "unet": (Entry("unet", {"channels": 4, "depth": 2}), Shape(IMAGE, 3)),
    "auto": (Entry("auto", {"channels": 4}), Shape(IMAGE, 3)),
    "unet in 3D": (Entry("unet", {"channels": 2, "depth": 2, "upsampling": "max_unpooling"}), Shape((1, 4, 4, 4), 2)),
    "two_pathway": (Entry("two_pathway", {"widths": [4, 4], "hidden": 16}), Shape(IMAGE, 2)),
    "dilated": (Entry("dilated", {"channels": 4, "dilations": [1, 2]}), Shape(IMAGE, 2)),
    "ffdnet": (Entry("ffdnet"), Shape(IMAGE, 2)),
    "refinement": (Entry("refinement", {"base": {"name": "unet", "channels": 2, "depth": 2}}), Shape(IMAGE, 2)),
    "voxelmorph": (Entry("voxelmorph", {"channels": 4, "depth": 2}), Shape((2, 8, 8), 2)),
    "affine_pair": (Entry("affine_pair", {"channels": 4, "depth": 2}), Shape((2, 8, 8), 2)),
    "conditional_ladder": (
        Entry("conditional_ladder", {"channels": [4], "latents": [1], "top": 2}),
        Shape((3, 8, 8), 1),
    ),
    "edsr": (Entry("edsr", {"channels": 4, "blocks": 1}), Shape(IMAGE, 2)),
}
WITHOUT_RELU = {
    "logistic",
    "vit",
    "vit with a class token",
    "vit in 3D",
    "voxelmorph",
    "affine_pair",
    "conditional_ladder",
}
WITHOUT_MAP = {"logistic", "mlp", "mcmahan_2nn"}
CASES = 2


class TestEveryAttribution(AttributionTests):
    """Those of ours, as anybody's."""

    @pytest.fixture(params=ATTRIBUTIONS.names())
    def made(self, request: pytest.FixtureRequest) -> Tried:
        return ATTRIBUTIONS.build(
            Entry(request.param, {"points": 4, "doublings": 1} if "integrated" in request.param else {})
        ), SHAPES


def asked(name: str) -> tuple[nn.Module, Tensor, Aim]:
    """A network, inputs, and an aim of what it answers."""
    entry, shape = BUILT[name]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        network = NETWORKS.build(entry).build(shape).eval()
    inputs = torch.randn(CASES, *shape.inputs, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for parameter in network.parameters():  # some begin by answering the same whatever they are shown
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
        answer = network(inputs)
    classes = torch.arange(CASES) % answer.shape[1]
    return (
        network,
        inputs,
        Logits(classes) if answer.ndim == 2 else Regions(answer[:, 0] >= answer[:, 0].mean(), classes),
    )


def test_every_network_that_learns_is_tried() -> None:
    tried = {entry.name for entry, _ in BUILT.values()}
    assert tried == {name for name in NETWORKS.names() if not hasattr(NETWORKS.load(name), "has_weights")}


@pytest.mark.parametrize("method", [name for name in ATTRIBUTIONS.names() if name != "edges"])
@pytest.mark.parametrize("name", BUILT)
def test_a_network_is_explained_or_refused_in_words_and_left_as_it_was(name: str, method: str) -> None:
    network, inputs, aim = asked(name)
    options: dict[str, Any] = {"integrated_gradients": {"points": 4, "doublings": 0}, "grad_cam": {"relu": False}}
    options["occlusion"] = {} if inputs.ndim == 2 else {"window": [4]}
    before, built = state_of(network), ATTRIBUTIONS.build(Entry(method, options.get(method, {})))
    refused = (method in ("deconvnet", "guided_backpropagation") and name in WITHOUT_RELU) or (
        method == "grad_cam" and name in WITHOUT_MAP
    )
    if refused:
        with pytest.raises(AttributionError, match="take"):
            built.explain(network, inputs, aim, np.random.default_rng(0))
    else:
        found = built.explain(network, inputs, aim, np.random.default_rng(0))
        assert torch.isfinite(found).all() and found.abs().amax() > 0
        assert found.shape[2:] == inputs.shape[2:] and len(found) == CASES
    assert state_of(network) == before
