"""A gradient of one case tells the features at the narrow part of a network, and they tell the image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.study.study import Study, parse
from experiments.attacks.bottleneck import Bottleneck
from experiments.attacks.inversion.convolution_inputs import (
    Convolution,
    input_of_convolution,
    places_under_kernel,
    tells_its_input,
)
from experiments.attacks.inversion.inverting import problem_of
from experiments.attacks.inversion.layers import layers_in_order
from experiments.attacks.inversion.leaky_relu import Softened
from experiments.attacks.inversion.recovered_features import told_by
from experiments.attacks.inversion.unet_shortcut import skipped_features
from experiments.attacks.inversion.updates import captured_updates
from experiments.audit.questions._similarity import correlations
from experiments.audit.questions._similarity_to_patients import score
from experiments.evidence.ground_truth import all_training_cases, truth_of
from experiments.evidence.observing import observe
from experiments.observation import Observation
from experiments.running.run import run_study

STUDY = """
title = "Outlined"
rounds = 1
seed = 11
engine = "inline"
source = { name = "phantom", hospitals = 2, patients = [6], slices_per_patient = 1 }
task = { name = "segmentation", network = { name = "unet", channels = 8 } }
strategy = "fedsgd"
aggregation = "plain"
training = { batch_size = 1, learning_rate = 0.1 }
split = { validation = 0.2, test = 0.2 }
federation = { start_timeout_s = 60, round_timeout_s = 60, record_traffic = true }
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Study, Observation]]:
    """Run the study with overrides: it, and what the server saw."""

    def go(*overrides: str) -> tuple[Study, Observation]:
        study, folder = parse(STUDY, list(overrides)), tmp_path_factory.mktemp("outlined") / "run"
        run_study(study, "outlined", folder)
        return study, observe(folder)

    return go


@pytest.fixture(scope="module")
def outlined(run: Callable[..., tuple[Study, Observation]]) -> tuple[Study, Observation]:
    return run()


def gradient_of(layer: nn.Module, inputs: Tensor, seed: int = 0) -> Tensor:
    """Of the weights, under a loss of random weights for every output and its square."""
    generator = torch.Generator().manual_seed(seed)
    outputs = layer(inputs)
    first, second = torch.randn((2, *outputs.shape), generator=generator, dtype=inputs.dtype)
    loss = (first * outputs + second * outputs.square()).sum()
    return torch.autograd.grad(loss, [next(layer.parameters())])[0]


def features(*shape: int) -> Tensor:
    """Half of them zero, as behind a ReLU."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).clamp(min=0)


LAYERS = [
    (nn.Conv2d(6, 40, 3, padding=1), (6, 5)),
    (nn.Conv2d(6, 12, 5, padding=2, stride=2), (6, 6)),
    (nn.Conv2d(4, 40, 5), (8, 9)),
    (nn.Conv3d(3, 64, 3, padding=1), (4, 4, 4)),
]


@pytest.mark.parametrize(("layer", "sides"), LAYERS)
def test_the_gradient_of_a_convolution_that_is_wide_enough_tells_its_input(
    layer: Convolution, sides: tuple[int, ...]
) -> None:
    layer, true = layer.double(), features(layer.in_channels, *sides)
    assert tells_its_input(layer, layer.in_channels, sides)
    found = input_of_convolution(gradient_of(layer, true[None]), layer, sides)
    assert found.doubt < 1e-3
    torch.testing.assert_close(found.values, true / true.square().mean().sqrt(), atol=1e-5, rtol=0)


def test_a_dilated_convolution_sees_images_that_do_not_touch_and_tells_none() -> None:
    layer, true = nn.Conv2d(6, 50, 3, padding=2, dilation=2).double(), features(6, 7, 7)
    assert input_of_convolution(gradient_of(layer, true[None]), layer, (7, 7)).doubt > 0.5


def test_the_sum_over_two_cases_tells_neither_input() -> None:
    layer = nn.Conv2d(6, 40, 3, padding=1).double()
    both = gradient_of(layer, torch.stack([features(6, 6, 5), features(6, 6, 5).flip(1)]))
    assert input_of_convolution(both, layer, (6, 5)).doubt > 0.05


def test_a_convolution_of_too_few_channels_tells_nothing() -> None:
    assert tells_its_input(nn.Conv2d(6, 30, 3, padding=1), 6, (6, 5))
    assert not tells_its_input(nn.Conv2d(6, 29, 3, padding=1), 6, (6, 5))
    assert not tells_its_input(nn.Conv2d(3, 40, 3, padding=1), 3, (6, 5))
    assert not tells_its_input(nn.Linear(6, 40), 6, ())


def test_patches_that_do_not_overlap_tell_nothing() -> None:
    assert not tells_its_input(nn.Conv2d(40, 64, 1), 40, (6, 5))
    assert not tells_its_input(nn.Conv2d(6, 40, 2, stride=2), 6, (6, 6))
    assert not tells_its_input(nn.Conv2d(1, 4, 3, padding=1), 1, (1, 1))


@pytest.mark.parametrize(("layer", "sides"), [*LAYERS, (nn.Conv2d(6, 5, 3, padding=2, dilation=2, stride=2), (7, 6))])
def test_places_under_the_kernel_are_those_the_convolution_reads(layer: Convolution, sides: tuple[int, ...]) -> None:
    inputs = torch.randn(layer.in_channels, *sides, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    padded = torch.cat([inputs.flatten(1), torch.zeros(layer.in_channels, 1, dtype=torch.float64)], 1)
    patches = padded[:, places_under_kernel(layer, sides)]
    by_hand = torch.einsum("cpk,ock->op", patches, layer.double().weight.flatten(2)) + layer.bias[:, None]
    torch.testing.assert_close(by_hand, layer(inputs[None])[0].flatten(1))


@pytest.mark.parametrize("layer", [nn.Conv2d(10, 6, 3, padding=1), nn.Conv3d(10, 6, 3, padding=1)])
def test_the_known_half_of_an_input_tells_the_other_half(layer: Convolution) -> None:
    sides = (5,) * (layer.weight.dim() - 2) if layer.weight.dim() == 4 else (3, 3, 4)
    both = features(10, *sides)
    found = skipped_features(gradient_of(layer.double(), both[None]), layer, both[4:])
    assert found is not None
    torch.testing.assert_close(found, both[:4], atol=1e-6, rtol=0)


def test_more_places_than_equations_tell_no_other_half() -> None:
    layer = nn.Conv2d(10, 6, 3, padding=1).double()
    both = features(10, 8, 8)
    assert skipped_features(gradient_of(layer, both[None]), layer, both[4:]) is None


def test_a_softened_network_is_the_network_where_nothing_leaks() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    softened, inputs = Softened(network), torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(softened.network(inputs), network(inputs))
    softened.leak(0.5)
    assert softened.network(inputs).min() < 0 <= network(inputs).min()


def test_a_u_nets_gradient_tells_the_features_of_its_case(outlined: tuple[Study, Observation]) -> None:
    study, observed = outlined
    captured = captured_updates(observed)[0]
    problem = problem_of(observed, captured, 1, torch.Generator().manual_seed(0))
    told = told_by(problem, layers_in_order(problem.victim.network, observed.shape))
    assert told is not None
    assert (told.layer, told.above) == ("body.down.3.0.0", "body.down.2")
    assert told.doubt < 1e-3
    true = truth_of(study, captured.round, captured.sites)
    others = all_training_cases(study)
    own = told.mismatch(problem.victim.network, torch.from_numpy(true.inputs)).item()
    apart = [
        told.mismatch(problem.victim.network, torch.from_numpy(case[None])).item()
        for case, *patient in zip(others.inputs, others.sites, others.patients, strict=True)
        if tuple(patient) != (true.sites[0], true.patients[0])
    ]
    assert own < 1e-4
    assert min(apart) > 1e-2


def test_an_outlined_case_comes_back_though_its_outlines_are_unknown(outlined: tuple[Study, Observation]) -> None:
    study, observed = outlined
    finding = Bottleneck(turns=2, starts=2, iterations=250).run(observed, np.random.default_rng(0), 60)
    (found,) = finding.reconstructions
    truth = truth_of(study, found.round, found.sites)
    scored = score(found, truth, all_training_cases(study))
    assert correlations(truth.inputs, found.inputs)[0, 0] > 0.5
    assert scored.cases[0].rank == 1


def test_several_cases_are_refused_in_words(run: Callable[..., tuple[Study, Observation]]) -> None:
    _, observed = run("training.batch_size=2")
    finding = Bottleneck().run(observed, np.random.default_rng(0), 10)
    assert not finding.possible
    assert finding.reason == "an update rests on several cases; it takes one of a single case"


def test_a_network_without_a_narrow_convolution_is_refused_in_words(
    run: Callable[..., tuple[Study, Observation]],
) -> None:
    _, observed = run("task.network={name='unet', channels=2, depth=2}")
    finding = Bottleneck().run(observed, np.random.default_rng(0), 10)
    assert not finding.possible
    assert finding.reason == "no convolution has as many channels as its input has places"


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(Exception, match="starts"):
        Bottleneck(starts=0)
