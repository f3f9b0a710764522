"""The masked autoencoder equals lightly's, and any network of images can be one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from client.clipping import CaseLoss
from client.evaluation import evaluate
from client.per_example_gradients.hooks import by_hooks
from client.per_example_gradients.loop import by_loop
from client.per_example_gradients.vectorised import by_vectorising
from common.data.cases import Batch, Cases, Shape
from common.errors import StudyError
from common.learning.parameters import new_network
from common.learning.tokens import patchify, sincos_positions, unpatchify
from common.study.catalogue import NETWORKS, TASKS
from common.study.options import Entry

SMALL = {"name": "vit", "width": 16, "depth": 2, "heads": 2, "patch": 3}
OFFICIAL = {
    "network": {**SMALL, "pooling": "class_token"},
    "decoder_width": 8,
    "decoder_heads": 2,
}
LIGHTLY = {False: 0.5161952376, True: 0.9814055562}
"""The mean loss of lightly 1.6.0's MAEDecoderTIMM behind its MaskedVisionTransformerTIMM, with these very weights."""
VISIBLE = torch.tensor([[1, 6, 11, 12], [0, 3, 9, 14]])


def mae(**options: Any) -> Any:
    return TASKS.build(Entry("mae", options))


def waves(network: nn.Module) -> nn.Module:
    """Parameters that everybody can work out."""
    with torch.no_grad():
        for place, (name, parameter) in enumerate(sorted(network.named_parameters())):
            wave = 0.3 * torch.sin(torch.arange(parameter.numel()) * 0.7 + place).reshape(parameter.shape)
            parameter.copy_(wave + float("norm.weight" in name))
    return network


def two_images() -> Batch:
    inputs = (torch.cos(torch.arange(2 * 12 * 12) * 0.37) ** 2).reshape(2, 1, 12, 12)
    mask = torch.ones(2, 16, dtype=torch.int64).scatter(1, VISIBLE, 0)
    return Batch.of(inputs, torch.zeros(2), ["a", "b"], mask=mask)


@pytest.mark.parametrize("normalised", [False, True])
def test_the_loss_is_that_of_lightly(normalised: bool) -> None:
    task = mae(**OFFICIAL, normalised=normalised)
    network = waves(new_network(task, Shape((1, 12, 12), 0), 0))
    assert float(task.loss(network, two_images()).mean().detach()) == pytest.approx(LIGHTLY[normalised], abs=1e-6)


@pytest.mark.parametrize("normalised", [False, True])
def test_the_loss_is_that_of_the_paper_step_by_step(normalised: bool) -> None:
    """The slow way: hidden tokens are brought back to their places, all are painted, and most are thrown away."""
    task = mae(**OFFICIAL, normalised=normalised)
    network: Any = waves(new_network(task, Shape((1, 12, 12), 0), 0))
    batch = two_images()
    with torch.no_grad():
        found = task.loss(network, batch)
        for row in range(2):
            assert float(found[row]) == pytest.approx(_slowly(network, batch, row, normalised), abs=1e-6)


def _slowly(network: Any, batch: Batch, row: int, normalised: bool) -> float:
    mask = batch.tensor("mask")[row].bool()
    image = batch.inputs[row : row + 1]
    encoded = network.encoder.encoded(network.encoder.tokens(image)[:, ~mask])
    embedded, decoder = network.decoder.embed(encoded), network.decoder
    tokens = torch.zeros(16, 8)
    tokens[~mask], tokens[mask] = embedded[0, 1:], decoder.hidden.weight[0]
    tokens = torch.cat([embedded[:, :1], (tokens + decoder.position.values)[None]], 1)
    for block in decoder.blocks:
        tokens = block(tokens)
    painted = decoder.paint(decoder.norm(tokens))[0, 1:][mask]
    truth = patchify(image, (3, 3))[0][mask]
    if normalised:
        truth = (truth - truth.mean(1, keepdim=True)) / (truth.var(1, keepdim=True) + 1e-6).sqrt()
    return float((painted - truth).square().mean())


def test_what_is_hidden_is_never_looked_at() -> None:
    """Changed pixels of hidden patches change what is to be painted, and nothing of what is painted."""
    for network in (SMALL, {"name": "groupnorm_cnn", "channels": 4}, {"name": "unet", "channels": 4, "depth": 2}):
        task = mae(network=network, patch=3, normalised=False)
        built: Any = new_network(task, Shape((1, 12, 12), 0), 0)
        batch = two_images()
        hidden = batch.tensor("mask").bool().logical_not().nonzero()[:, 1].reshape(2, 4)
        places = torch.stack([torch.tensor([i for i in range(16) if i not in row.tolist()]) for row in hidden])
        covered = patchify(batch.inputs, (3, 3)).scatter(1, places[:, :, None].expand(-1, -1, 9), 7.0)
        other = unpatchify(covered, (3, 3), (12, 12))
        assert torch.equal(built.painted(batch.inputs, hidden, places), built.painted(other, hidden, places)), network


@pytest.mark.parametrize(
    ("shape", "patch"), [((1, 6, 4), (3, 2)), ((3, 4, 4), (2, 2)), ((2, 4, 6, 2), (2, 3, 1))], ids=str
)
def test_patches_are_put_together_again(shape: tuple[int, ...], patch: tuple[int, ...]) -> None:
    images = torch.arange(float(np.prod(shape) * 2)).reshape(2, *shape)
    assert torch.equal(unpatchify(patchify(images, patch), patch, shape[1:]), images)


def test_patches_stand_in_rows_with_channels_innermost() -> None:
    image = torch.arange(32.0).reshape(1, 2, 4, 4)
    assert patchify(image, (2, 2))[0, 1].tolist() == [2, 18, 3, 19, 6, 22, 7, 23]


def test_positions_are_sines_and_cosines_of_every_axis() -> None:
    """Of width 4 and two axes one wave each, of rate 1: sin y, cos y, sin x, cos x."""
    row = sincos_positions((2, 3), 4)[5].numpy()
    assert row == pytest.approx([np.sin(1), np.cos(1), np.sin(2), np.cos(2)])
    assert sincos_positions((2, 2, 2), 7)[:, 6].abs().sum() == 0


NETWORKS_OF_IMAGES = [
    {"name": "vit", "width": 8, "depth": 1, "heads": 2},
    {"name": "vit", "width": 8, "depth": 1, "heads": 2, "positions": "learned", "pooling": "class_token"},
    {"name": "groupnorm_cnn", "channels": 4},
    {"name": "mcmahan_cnn"},
    {"name": "unet", "channels": 4, "depth": 2},
    {"name": "unet", "channels": 4, "depth": 3, "deep_supervision": True},
    {"name": "unet", "channels": 4, "depth": 2, "upsampling": "max_unpooling"},
    {"name": "dilated", "channels": 4},
    {"name": "two_pathway", "widths": [4, 4], "hidden": 4},
]


@pytest.mark.parametrize("network", NETWORKS_OF_IMAGES, ids=lambda one: " ".join(map(str, one.values())))
@pytest.mark.parametrize("shape", [(2, 8, 16), (1, 8, 8, 8)], ids=["images", "volumes"])
def test_every_network_of_images_learns_from_gaps(network: dict[str, Any], shape: tuple[int, ...]) -> None:
    task = mae(network=network)
    built = new_network(task, Shape(shape, 0), 0)
    inputs = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    batch = task.augment(Batch.of(inputs, torch.zeros(2), ["a", "b"]), np.random.default_rng(0))
    losses = task.loss(built, batch)
    losses.sum().backward()
    assert losses.shape == (2,) and built(inputs).ndim == 2
    idle = [name for name, one in built.named_parameters() if one.grad is None]
    assert all("lead" not in name for name in idle) and not [name for name in idle if name.startswith("decoder")]


def test_a_segmentation_takes_all_of_a_pretrained_unet_but_its_last_layer() -> None:
    options = {"name": "unet", "channels": 4, "depth": 3, "deep_supervision": True}
    shape = Shape((1, 16, 16), 3)
    whole = NETWORKS.build(Entry("unet", {key: value for key, value in options.items() if key != "name"})).build(
        shape
    )
    pretrained = new_network(mae(network=options), shape, 0)
    encoder = {
        name.removeprefix("encoder.") for name, _ in pretrained.named_parameters() if name.startswith("encoder.")
    }
    left = {name for name, _ in whole.named_parameters()} - encoder
    assert left == {"body.head.weight", "body.head.bias", "body.deep_heads.0.weight", "body.deep_heads.0.bias"}
    shapes = {name: one.shape for name, one in whole.named_parameters()}
    assert all(shapes[name] == pretrained.get_parameter(f"encoder.{name}").shape for name in encoder)


def test_features_of_a_pretrained_unet_are_those_of_its_way_down() -> None:
    built: Any = new_network(mae(network={"name": "unet", "channels": 4, "depth": 2}), Shape((1, 8, 8), 0), 0)
    inputs = torch.randn(2, 1, 8, 8)
    body = built.encoder.body
    deepest: Tensor = body.down[1](body.pool(body.down[0](inputs), 2))
    torch.testing.assert_close(built(inputs), deepest.mean((2, 3)))


@pytest.mark.parametrize("ways", [(by_hooks, by_vectorising)])
@pytest.mark.parametrize("network", [SMALL, {**SMALL, "positions": "learned", "pooling": "class_token"}], ids=str)
def test_gradients_of_single_cases_agree_however_they_are_found(ways: Any, network: dict[str, Any]) -> None:
    pytest.importorskip("opacus", reason="the extra privacy is not installed")
    task = mae(network=network)
    batch = task.augment(Batch.of(two_images().inputs, torch.zeros(2), ["a", "b"]), np.random.default_rng(0))
    wanted = by_loop(CaseLoss(task, new_network(task, Shape((1, 12, 12), 0), 0), "float32"), batch, 0.5)
    for way in ways:
        found = way(CaseLoss(task, new_network(task, Shape((1, 12, 12), 0), 0), "float32"), batch, 0.5)
        assert np.abs(found - wanted).max() < 1e-6, way.__name__


def test_an_even_image_has_nothing_to_explain_and_breaks_no_score() -> None:
    cases = Cases.of(np.zeros((3, 1, 12, 12), np.float32), np.zeros(3, np.float32), ["a", "b", "c"])
    for normalised in (False, True):
        task = mae(network=SMALL, normalised=normalised)
        scores = evaluate(task, new_network(task, cases.shape, 0), cases)
        assert scores["explained"].value == 0


def test_pictures_keep_what_was_shown_and_paint_the_gaps() -> None:
    for shape in ((1, 12, 12), (1, 6, 6, 6)):
        task = mae(network=SMALL)
        image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)) + 1
        with torch.no_grad():
            pictures = task.panels(new_network(task, Shape(shape, 0), 0), Batch.of(image, torch.zeros(1), ["a"]))
        kept = (pictures["shown"] == pictures["image"]) & (pictures["image"] > pictures["image"].min())
        assert torch.equal(pictures["painted"][kept], pictures["image"][kept])
        assert pictures["image"].shape == shape[1:] and 0.2 < kept.float().mean() < 0.3


@pytest.mark.parametrize(
    ("options", "shape", "said"),
    [
        ({"network": "mlp"}, (5,), "images"),
        ({"network": {"name": "mlp"}}, (1, 8, 8), "keeps no map"),
        ({"network": {"name": "groupnorm_cnn"}, "patch": 5}, (1, 8, 8), "must divide every side"),
        ({"network": SMALL}, (1, 8, 8), "Pad them to 9 x 9"),
        ({"network": {**SMALL, "patch": 1}}, (1, 4, 4), "has no spread"),
        ({"network": {**SMALL, "patch": 4}}, (1, 4, 4), "of 1 patch"),
    ],
)
def test_what_cannot_be_hidden_is_refused(options: dict[str, Any], shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        mae(**options).build_network(Shape(shape, 0))


@pytest.mark.parametrize("options", [{"masked": 1.0}, {"decoder_width": 30}, {"patch": 0}, {"augmentation": "gray"}])
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StudyError):
        mae(**options)
