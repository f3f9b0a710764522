"""Laws that every design of super-resolution keeps, and what each is, against slow ways to the same image."""

from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from common.errors import StudyError
from common.reconstruction.design import Design, Enlargement, enlarge, shuffled
from common.reconstruction.designs.iterative import UpProjection
from common.reconstruction.interpolation import resized
from common.study.catalogue import DESIGNS
from common.study.options import Entry
from wardround.testing import DesignTests
from wardround.testing.designs import WANTED, Tried, moved, shown
from wardround.testing.designs import built as built_of

NETWORK = {"network": {"name": "edsr", "channels": 4, "blocks": 1}}
OPTIONS: dict[str, dict[str, object]] = {
    "pre": NETWORK,
    "post": NETWORK,
    "progressive": NETWORK,
    "iterative": {"channels": 3},
}
every = pytest.mark.parametrize("name", DESIGNS.names())
each = pytest.mark.parametrize("wanted", WANTED, ids=lambda one: f"{one.small}x{one.factors}")


def design(name: str) -> Design:
    return cast(Design, DESIGNS.build(Entry(name, OPTIONS[name])))


def built(name: str, wanted: Enlargement, learned: bool = False) -> nn.Module:
    network = built_of(design(name), wanted)
    return moved(network) if learned else network


class TestEveryDesign(DesignTests):
    """Those of ours, as anybody's."""

    @pytest.fixture(params=DESIGNS.names())
    def made(self, request: pytest.FixtureRequest) -> Tried:
        return design(request.param), WANTED


def test_every_design_is_tried() -> None:
    assert OPTIONS.keys() == set(DESIGNS.names())


@every
@each
def test_it_answers_the_bicubic_image_before_it_has_learned(name: str, wanted: Enlargement) -> None:
    if name == "progressive" and max(wanted.factors) != 2:
        pytest.skip("by its levels")
    given = shown(wanted)
    answer = enlarge(built(name, wanted), given, wanted.large)
    torch.testing.assert_close(answer, resized(given[:, : wanted.channels], wanted.large))


@pytest.mark.parametrize(
    ("name", "other", "takes"),
    [
        ("pre", (3, 3), True),
        ("post", (2, 2), False),
        ("post", (4, 4), True),
        ("iterative", (6, 6), False),
        ("progressive", (2, 2), True),
        ("progressive", (8, 8), True),
        ("progressive", (6, 6), False),
        ("progressive", (1, 4), False),
    ],
)
def test_it_says_which_factors_a_network_made_for_four_enlarges_by(
    name: str, other: tuple[int, int], takes: bool
) -> None:
    assert design(name).takes((4, 4), other) is takes


@pytest.mark.parametrize("name", ["pre", "progressive"])
def test_who_takes_another_factor_is_the_same_network_whatever_factor_it_was_made_for(name: str) -> None:
    at = replace(WANTED[0], shown=1)
    two, four = (built(name, replace(at, factors=(factor, factor)), learned=True) for factor in (2, 4))
    four.load_state_dict(two.state_dict())
    sides = tuple(8 * side for side in at.small)
    torch.testing.assert_close(enlarge(two, shown(at), sides), enlarge(four, shown(at), sides))


def test_a_shuffle_by_hand_lays_channels_beside_each_other() -> None:
    maps = torch.arange(8.0).reshape(1, 4, 1, 2)  # channels of two places: 0 1 | 2 3 | 4 5 | 6 7
    wanted = torch.tensor([[0.0, 2.0, 1.0, 3.0], [4.0, 6.0, 5.0, 7.0]])
    assert torch.equal(shuffled(maps, (2, 2))[0, 0], wanted)


def test_a_shuffle_is_torchs_of_images_and_the_same_rule_of_volumes() -> None:
    maps = torch.randn(2, 18, 3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shuffled(maps, (3, 3)), torch.pixel_shuffle(maps, 3))
    volume = torch.randn(1, 12, 2, 3, 2, generator=torch.Generator().manual_seed(0))
    found, factors = shuffled(volume, (2, 1, 3)), (2, 1, 3)
    for x, y, z in ((0, 0, 0), (3, 2, 4), (1, 1, 5), (2, 0, 3)):
        channel = (x % 2) * 3 + z % 3
        assert factors and torch.equal(found[0, :, x, y, z], volume[0, [channel, 6 + channel], x // 2, y, z // 3])


def test_a_sub_pixel_convolution_is_a_transposed_one() -> None:
    """Shi et al. 2016, section 2.2: of kernel 1 here, which a transposed kernel of 2 and stride 2 is."""
    small = torch.randn(1, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kernel = torch.randn(4, 3, 1, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    transposed = kernel.reshape(1, 2, 2, 3).permute(3, 0, 1, 2)
    wanted = torch.nn.functional.conv_transpose2d(small, transposed, stride=2)
    torch.testing.assert_close(shuffled(torch.nn.functional.conv2d(small, kernel), (2, 2)), wanted)


def test_an_up_projection_of_a_constant_image_is_constant_where_kernels_undo_each_other() -> None:
    """Up by copies and back by means leave nothing to mend (Irani and Peleg 1991): the fixed point of the loop."""
    unit = UpProjection(1, (2, 2))
    for part, value in ((unit.up, 1.0), (unit.back, 0.25), (unit.mend, 1.0)):
        kernel = torch.zeros(1, 1, 6, 6)
        kernel[..., 2:4, 2:4] = value
        layer = cast(nn.Conv2d, part.get_submodule("0"))
        layer.weight.data = kernel
        nn.init.zeros_(cast(Tensor, layer.bias))
    small = torch.full((1, 1, 3, 3), 0.7)
    torch.testing.assert_close(unit(small), torch.full((1, 1, 6, 6), 0.7))


def test_a_network_that_answers_another_size_is_refused() -> None:
    with pytest.raises(StudyError, match="groupnorm_cnn"):
        DESIGNS.build(Entry("post", {"network": "groupnorm_cnn"})).build(WANTED[0])
