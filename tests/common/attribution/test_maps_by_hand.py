"""Maps worked out by hand: a linear network, a network of two ReLUs, windows on a line of four pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.attribution import limit
from common.attribution.aim import Logits
from common.attribution.limit import within
from common.attribution.methods.integrated_gradients import IntegratedGradients
from common.attribution.methods.occlusion import Occlusion
from common.errors import AttributionError, OutOfTimeError, StudyError
from common.study.catalogue import ATTRIBUTIONS
from common.study.options import Entry

ALL = ("saliency", "gradient_x_input", "occlusion", "integrated_gradients", "deconvnet", "guided_backpropagation")


def mapped(method: str, network: nn.Module, inputs: Tensor, **options: object) -> Tensor:
    aim = Logits(torch.zeros(len(inputs), dtype=torch.int64))
    found: Tensor = ATTRIBUTIONS.build(Entry(method, options)).explain(network, inputs, aim, np.random.default_rng(0))
    return found


def linear(*weights: float, bias: float = 0.5) -> nn.Module:
    layer = nn.Linear(len(weights), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        layer.bias.fill_(bias)
    return nn.Sequential(nn.Flatten(), layer)


class TwoUnits(nn.Module):
    """-2 relu(x - y) + 3 relu(-x + 2 y), with whatever stands for a ReLU."""

    def __init__(self, relu: Any) -> None:
        super().__init__()
        self.relu = relu
        self.weight = nn.Parameter(torch.tensor([[1.0, -1.0], [-1.0, 2.0]]))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = inputs @ self.weight.T
        opened = self.relu(hidden)
        used = hidden if opened is None else opened
        return used @ torch.tensor([[-2.0], [3.0]])


def in_place_and_forgotten(hidden: Tensor) -> None:
    hidden.relu_()


RELUS: dict[str, Any] = {
    "module": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "function": functional.relu,
    "function in place": lambda hidden: functional.relu(hidden, inplace=True),
    "torch": torch.relu,
    "torch in place": torch.relu_,
    "method": lambda hidden: hidden.relu(),
    "method in place": in_place_and_forgotten,
    "clamp": lambda hidden: hidden.clamp(min=0),
    "clamp in place": lambda hidden: hidden.clamp_(0),
    "clamp_min": lambda hidden: torch.clamp_min(hidden, 0.0),
    "relu6": nn.ReLU6(inplace=True),
}


def test_where_the_seconds_end_among_doublings_the_coarser_map_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(linear(1.0, bias=-1.0), nn.ReLU())
    aim, inputs = Logits(torch.zeros(1, dtype=torch.int64)), torch.tensor([[4.0]])
    clock = iter([0.0, 0.5, 2.0])
    monkeypatch.setattr(limit, "monotonic", lambda: next(clock))
    with within(1.0):
        found = IntegratedGradients(points=3, rule="midpoint").explain(network, inputs, aim, np.random.default_rng(0))
    torch.testing.assert_close(found, torch.tensor([[8 / 3]]))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("saliency", [1, 2]),
        ("gradient_x_input", [3, -2]),
        ("occlusion", [3, -2]),
        ("integrated_gradients", [3, -2]),
    ],
)
def test_of_a_linear_network_each_value_has_its_own_part(method: str, expected: list[float]) -> None:
    found = mapped(method, linear(1.0, -2.0), torch.tensor([[3.0, 1.0]]))
    torch.testing.assert_close(found, torch.tensor([expected]).float())


@pytest.mark.parametrize("name", RELUS)
def test_only_what_is_positive_of_a_signal_passes_a_relu_backwards(name: str) -> None:
    """At (2, 1/2) the first unit is open and the second is not; signals from above are -2 and 3."""
    network, inputs = TwoUnits(RELUS[name]), torch.tensor([[2.0, 0.5]])
    assert mapped("saliency", network, inputs).tolist() == [[2, 2]]
    assert mapped("deconvnet", network, inputs).tolist() == [[-3, 6]]
    assert mapped("guided_backpropagation", network, inputs).tolist() == [[0, 0]]
    assert mapped("guided_backpropagation", network, torch.tensor([[1.0, 2.0]])).tolist() == [[-3, 6]]


def test_a_relu_that_is_cut_off_is_closed_beyond() -> None:
    network = TwoUnits(functional.relu6)
    assert mapped("guided_backpropagation", network, torch.tensor([[1.0, 9.0]])).tolist() == [[0, 0]]
    assert mapped("deconvnet", network, torch.tensor([[1.0, 9.0]])).tolist() == [[-3, 6]]


def test_the_values_before_an_in_place_relu_are_the_networks_own() -> None:
    network, inputs = TwoUnits(in_place_and_forgotten), torch.tensor([[2.0, 0.5], [1.0, 2.0]])
    expected = network(inputs)
    mapped("deconvnet", network, inputs)
    assert network(inputs).tolist() == expected.tolist() == [[-3], [9]]


@pytest.mark.parametrize(
    ("relu", "met"), [(nn.GELU(), "GELU"), (nn.LeakyReLU(0.1), "LeakyReLU"), (torch.tanh, "tanh")]
)
@pytest.mark.parametrize("method", ["deconvnet", "guided_backpropagation"])
def test_a_rule_for_relus_is_refused_where_there_is_none(method: str, relu: Any, met: str) -> None:
    with pytest.raises(AttributionError, match=f"{method} changes how .*what it has is {met}"):
        mapped(method, TwoUnits(relu), torch.ones(1, 2))


def test_a_relu_halfway_gives_half_of_the_gradient() -> None:
    """relu(x - 1) at 2 from 0: the gradient is 1 on the second half of the way, and the map is 2 * 1/2."""
    network = nn.Sequential(linear(1.0, bias=-1.0), nn.ReLU())
    method = IntegratedGradients(points=50, rule="midpoint")
    aim, inputs = Logits(torch.zeros(1, dtype=torch.int64)), torch.tensor([[2.0]])
    found = method.explain(network, inputs, aim, np.random.default_rng(0))
    torch.testing.assert_close(found, torch.ones(1, 1))
    assert float(method.gaps(network, inputs, aim, found)) < 1e-6


@pytest.mark.parametrize("rule", ["midpoint", "gauss"])
def test_a_case_whose_map_misses_completeness_is_done_again_with_more_points_and_others_are_not(rule: Any) -> None:
    """relu(x - 1): of points at 1/6, 1/2 and 5/6 of the way to 4, two lie where it is open: 8/3, and not 3."""
    network = nn.Sequential(linear(1.0, bias=-1.0), nn.ReLU())
    aim, inputs = Logits(torch.zeros(2, dtype=torch.int64)), torch.tensor([[4.0], [2.0]])
    rng = np.random.default_rng(0)
    once = IntegratedGradients(points=3, rule="midpoint", doublings=0)
    torch.testing.assert_close(once.explain(network, inputs, aim, rng), torch.tensor([[8 / 3], [2 / 3]]))
    more = IntegratedGradients(points=3, rule=rule, doublings=6)
    assert once.gaps(network, inputs, aim, more.explain(network, inputs, aim, rng)).max() <= 0.01
    with within(-1.0), pytest.raises(OutOfTimeError, match="seconds"):
        more.explain(network, inputs, aim, rng)
    assert once.gaps(network, inputs, aim, once.explain(network, inputs, aim, rng)).min() > 0.1


@pytest.mark.parametrize(
    ("window", "stride", "expected"),
    [(2, 1, [3, 4, 6, 7]), (2, 2, [3, 3, 7, 7]), (3, 2, [6, 6, 6.5, 7]), (9, 1, [10, 10, 10, 10])],
)
def test_a_place_has_the_mean_of_the_windows_that_cover_it(window: int, stride: int, expected: list[float]) -> None:
    """Weights 1, 2, 3, 4 of a line of ones: a window loses the sum of the weights that it covers."""
    found = mapped("occlusion", linear(1.0, 2.0, 3.0, 4.0), torch.ones(1, 1, 4), window=[window], stride=[stride])
    assert found.tolist() == [[expected]]


@pytest.mark.parametrize(
    ("fill", "value", "lost"), [("zero", 0.0, 30.0), ("mean", 0.0, 10.0), ("black", 0.0, 20.0), ("value", 5.0, -20.0)]
)
def test_what_covers_a_window_is_of_the_cases_own_channel(fill: str, value: float, lost: float) -> None:
    """Of 3, 1, 1, 3 the third and fourth pixel weigh 0 and 10: covered, 3 becomes 0, 2, 1 or 5."""
    inputs = torch.tensor([[[3.0, 1.0, 1.0, 3.0]]])
    found = mapped("occlusion", linear(0.0, 0.0, 0.0, 10.0), inputs, window=[2], stride=[2], fill=fill, value=value)
    assert found.tolist() == [[[0, 0, lost, lost]]]


def test_by_channel_each_is_covered_by_itself() -> None:
    inputs, network = torch.ones(1, 2, 3), linear(1.0, 2.0, 3.0, 10.0, 20.0, 30.0)
    apart = mapped("occlusion", network, inputs, window=[1], by_channel=True)
    assert apart.tolist() == [[[1, 2, 3], [10, 20, 30]]]
    assert mapped("occlusion", network, inputs, window=[1]).tolist() == [[[11, 22, 33]]]


def test_occlusion_says_how_many_passes_it_takes() -> None:
    assert Occlusion((5,), (1,)).windows((1, 28, 28)) == 24 * 24
    assert Occlusion().windows((1, 28, 28)) == 13 * 13
    assert Occlusion().windows((13,)) == 13
    assert Occlusion((2,), (2,), by_channel=True).windows((3, 4, 4, 4)) == 24


def test_a_map_is_weighed_by_its_mean_gradient() -> None:
    """Two maps, x and -x; the answer is the sum of the first plus 3 times a pixel of the second."""
    split = nn.Conv2d(1, 2, 1, bias=False)
    last = nn.Linear(8, 1, bias=False)
    with torch.no_grad():
        split.weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        last.weight.copy_(torch.tensor([[1.0, 1, 1, 1, 3, 0, 0, 0]]))
    network = nn.Sequential(split, nn.Flatten(), last)
    inputs = torch.tensor([[[[4.0, -8.0], [0.0, 2.0]]]])
    assert mapped("grad_cam", network, inputs).tolist() == [[[[1, 0], [0, 0.5]]]]
    assert mapped("grad_cam", network, inputs, layer="0", relu=False).tolist() == [[[[1, -2], [0, 0.5]]]]


def test_edges_are_of_the_image_and_of_no_network() -> None:
    found = mapped("edges", linear(*[0.0] * 9), torch.tensor([[[[0.0, 0, 0], [0, 0, 4], [0, 0, 0]]]]))
    assert found.tolist() == [[[[0, 0, 4], [0, 2, 4], [0, 0, 4]]]]


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("occlusion", {"window": [0]}, "window"),
        ("occlusion", {"fill": "grey"}, "black"),
        ("occlusion", {"value": 3.0}, "fill 'value'"),
        ("integrated_gradients", {"points": 0}, "points"),
        ("integrated_gradients", {"rule": "simpson"}, "gauss"),
        ("grad_cam", {"upsampling": "cubic"}, "nearest"),
    ],
)
def test_options_that_cannot_be_are_refused(method: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        ATTRIBUTIONS.build(Entry(method, options))


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("occlusion", {"window": [2, 2]}, "lists 2 numbers, and the inputs have 1 axes"),
        ("occlusion", {"window": [1], "stride": [2]}, "steps over"),
        ("occlusion", {"fill": "mean"}, "no common mean"),
        ("integrated_gradients", {"baseline": "black"}, "no common mean or black"),
        ("grad_cam", {}, "no places"),
        ("edges", {}, "no neighbours"),
    ],
)
def test_a_table_has_no_window_of_two_axes_no_black_and_no_edges(
    method: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(AttributionError, match=words):
        mapped(method, linear(1.0, 2.0), torch.ones(1, 2), **options)
