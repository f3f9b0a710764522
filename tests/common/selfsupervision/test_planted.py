"""Blobs are planted where the body is, outlined as they are, and learned by an encoder with its way up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.parameters import new_network
from common.selfsupervision.planting import drawn_plant, numbers_of_plant, planted
from common.study.catalogue import TASKS
from common.study.options import Entry

SMALL = {"name": "unet", "channels": 2, "depth": 2}


def task(**options: Any) -> Any:
    return TASKS.build(Entry("planted", {"network": SMALL, **options}))


def plants(count: int, axes: int, share: float = 1.0, radius: float = 0.2) -> torch.Tensor:
    rng = np.random.default_rng(0)
    rows = [drawn_plant(rng, axes, share=share, radii=(radius, radius), contrasts=(2.0, 2.0)) for _ in range(count)]
    return torch.from_numpy(np.stack(rows))


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sides", [(16,), (16, 12), (8, 12, 8)])
def test_images_of_any_axes_and_channels_are_changed_where_the_outline_says(sides: tuple[int, ...]) -> None:
    given, drawn = images(4, 2, *sides), plants(4, len(sides))
    assert drawn.shape == (4, numbers_of_plant(len(sides)))
    found, outlines = planted(given, drawn)
    assert found.shape == given.shape and outlines.shape == (4, *sides) and outlines.any()
    change = (found - given).abs().mean(1)
    assert change[outlines == 1].mean() > 5 * change[outlines == 0].mean()


def test_a_round_blob_of_a_known_radius_has_its_area() -> None:
    """Without bends: pi r r of a square of side 1, with the centre in its middle."""
    drawn = plants(1, 2)
    drawn[:, 2:4], drawn[:, 6:] = 0.5, 0.0
    bright = torch.linspace(1, 2, 64 * 64).reshape(1, 1, 64, 64)
    bright[0, 0, 0, 0] = 0
    _, outlines = planted(bright, drawn)
    assert float(outlines.float().mean()) == pytest.approx(np.pi * 0.2**2, rel=0.02)


def test_nothing_is_planted_outside_the_body_nor_where_the_share_is_0() -> None:
    given = images(8, 1, 16, 16).abs() + 1
    given[:, :, :, 8:] = 0
    found, outlines = planted(given, plants(8, 2, radius=0.5))
    assert outlines[:, :, :8].any() and not outlines[:, :, 8:].any() and not found[:, :, :, 8:].any()
    untouched, none = planted(given, plants(8, 2, share=0.0))
    assert torch.equal(untouched, given) and not none.any()


@pytest.mark.parametrize(("darker", "sign"), [(0.0, 1.0), (1.0, -1.0)])
def test_blobs_are_as_bright_as_is_said(darker: float, sign: float) -> None:
    rng = np.random.default_rng(0)
    told = {"share": 1.0, "radii": (0.1, 0.2), "contrasts": (1.0, 2.0), "darker": darker}
    assert all(1 <= sign * drawn_plant(rng, 2, **told)[0] <= 2 for _ in range(20))  # type: ignore[arg-type]


def test_a_black_image_stays_finite() -> None:
    found, _ = planted(torch.zeros(2, 1, 8, 8), plants(2, 2))
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("augmentation", ["none", "contrast"])
def test_a_case_alone_is_planted_as_among_others(augmentation: str) -> None:
    own, batch = task(augmentation=augmentation), Batch.of(images(3, 1, 8, 8), torch.zeros(3, 0), ["a", "b", "c"])
    first = Batch.of(batch.inputs[:1], torch.zeros(1, 0), ["a"])
    among, alone = (own.augment(one, np.random.default_rng(5)) for one in (batch, first))
    assert torch.equal(among.inputs[:1], alone.inputs)
    assert torch.equal(among.tensor("outline")[:1], alone.tensor("outline"))


def test_who_answers_the_typical_share_everywhere_explains_nothing() -> None:
    own = task(share=1.0)
    network: Any = new_network(own, Shape((1, 8, 8), 0), 0)
    batch = Batch.of(images(4, 1, 8, 8), torch.zeros(4, 0), ["a", "b", "c", "d"])
    head = network.encoder.body.head
    head.weight.data.zero_()
    head.bias.data.copy_(torch.log(torch.tensor([0.95, 0.05])))
    answered = own.answered(network, batch)
    assert torch.allclose(answered["losses"], answered["trivial"])


def test_a_u_net_is_pretrained_to_its_last_layer_under_the_names_it_has_in_segmentation() -> None:
    shape = Shape((1, 8, 8), 2)
    before = new_network(task(), shape, 0).state_dict()
    whole = new_network(TASKS.build(Entry("segmentation", {"network": SMALL})), shape, 0).state_dict()
    assert {f"encoder.{name}": one.shape for name, one in whole.items()} == {k: v.shape for k, v in before.items()}


def test_a_network_of_classes_gets_a_layer_that_outlines() -> None:
    own = task(network={"name": "groupnorm_cnn", "channels": 2})
    network = new_network(own, Shape((1, 16, 16), 0), 0)
    batch = Batch.of(images(2, 1, 16, 16), torch.zeros(2, 0), ["a", "b"])
    assert own.loss(network, batch).shape == (2,) and own.predict(network, batch.inputs).ndim == 2


@pytest.mark.parametrize(
    "options", [{"least_radius": 0.5}, {"least_contrast": 9.0}, {"share": 1.5}, {"augmentation": "mr"}]
)
def test_settings_that_cannot_be_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match=next(iter(options))):
        task(**options)
