from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from common.data.cases import Batch, Shape
from common.errors import StudyError
from common.learning.parameters import new_network
from common.learning.tasks.classification import Classification
from common.learning.tasks.segmentation import Segmentation
from common.study.options import Entry
from common.study.study import Study
from experiments.audit.poisoning import poisoned_scores
from experiments.audit.robustness import SIZES, fgsm, headline, pgd, robustness_trials
from experiments.evidence.observing import observe
from experiments.running.run import run_study


def halves() -> tuple[nn.Module, Classification, Batch]:
    """A logistic model of one number x that answers 1 where x > 0; four cases 0.2 from the boundary at most."""
    task = Classification(network=Entry("logistic"))
    network = new_network(task, Shape((1,), 2), 0)
    (weight, bias) = (dict(network.named_parameters())[name] for name in sorted_names(network))
    with torch.no_grad():
        weight.copy_(torch.tensor([[-1.0], [1.0]]))
        bias.zero_()
    inputs = torch.tensor([[0.05], [0.2], [-0.05], [-0.2]])
    return network, task, Batch.of(inputs, torch.tensor([1, 1, 0, 0]), ("a", "b", "c", "d"))


def sorted_names(network: nn.Module) -> list[str]:
    return sorted((name for name, _ in network.named_parameters()), key=lambda name: name.endswith("bias"))


def test_the_accuracy_of_a_known_boundary_falls_at_the_cases_margins() -> None:
    network, task, batch = halves()
    for size, accuracy in ((0.01, 1.0), (0.1, 0.5), (0.3, 0.0)):
        moved = fgsm(network, task, batch, size)
        assert headline(network, task, Batch.of(moved, batch.targets, batch.patients)) == accuracy
        found = pgd(network, task, batch, size, np.random.default_rng(0))
        assert headline(network, task, Batch.of(found, batch.targets, batch.patients)) == accuracy
        assert float((moved - batch.inputs).abs().max()) <= size + 1e-6
        assert float((found - batch.inputs).abs().max()) <= size + 1e-6


def test_on_a_segmentation_network_ascent_raises_the_loss_within_the_size() -> None:
    task = Segmentation(network=Entry("unet", {"channels": 4, "depth": 2}))
    network = new_network(task, Shape((1, 8, 8), 2), 0).eval()
    inputs = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = Batch.of(inputs, (inputs[:, 0] > 0).long(), ("a", "b"))
    moved = pgd(network, task, batch, 0.1, np.random.default_rng(0))
    before = task.loss(network, batch)
    after = task.loss(network, Batch.of(moved, batch.targets, batch.patients))
    assert bool((after > before).all())
    assert float((moved - inputs).abs().max()) <= 0.1 + 1e-6


def test_every_hospital_gets_a_curve_of_both_attacks(tiny: Callable[..., Study], tmp_path: Path) -> None:
    run_study(tiny("rounds=2", "federation.record_traffic=true"), "tiny", tmp_path / "run")
    observed = observe(tmp_path / "run")
    trials = robustness_trials(observed, 60.0, lambda _: None)
    assert [(trial.site, trial.attack) for trial in trials] == [
        (s, a) for s in observed.sites for a in ("fgsm", "pgd")
    ]
    for trial in (one for one in trials if one.possible):
        assert {f"accuracy at {size:g}" for size in (0, *SIZES)} <= set(trial.figures)
        assert trial.figures["accuracy at 0.1"] <= trial.figures["accuracy at 0"]
    assert any(trial.possible for trial in trials)


def test_a_sign_flipping_hospital_ruins_the_mean_and_not_the_median(tiny: Callable[..., Study]) -> None:
    study = tiny("partition={name='iid', hospitals=5}", "rounds=3")
    honest = poisoned_scores(study, "", ["fedavg"])["fedavg"]
    found = poisoned_scores(study, "sign flip")
    assert honest > 0.8
    assert not found["fedavg"] > honest - 0.3
    for name in ("median", "trimmed_mean", "krum"):
        assert found[name] > honest - 0.2, name


def test_one_hospital_of_exchanged_labels_does_not_carry_the_median(tiny: Callable[..., Study]) -> None:
    study = tiny("partition={name='iid', hospitals=5}", "rounds=3")
    found = poisoned_scores(study, "label flip", ["median"])
    assert found["median"] > 0.7


def test_an_unknown_poisoning_is_named(tiny: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match="'salt'; there are sign flip, label flip"):
        poisoned_scores(tiny(), "salt")
