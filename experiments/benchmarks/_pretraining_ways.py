"""An encoder by several ways: as it was drawn, by a federation, of pooled images, by FedEMA's rule; or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.hospital import Hospital, open_hospital, site_names
from client.training import Trainer
from common.data.cases import Cases, concatenate
from common.learning.abilities import task_in_round
from common.learning.baseline import baseline_rounds
from common.learning.parameters import companion_tensors, new_network, read, write
from common.learning.start import first_network
from common.seeding import generator
from common.study.catalogue import STRATEGIES
from common.study.study import Study
from experiments.engines._quiet import run_quietly
from experiments.prediction.trained import load_trained
from server.strategy import Contributions, Strategy, in_round

AUTO_SCALE = 0.7
"""FedEMA's tau (Zhuang et al. 2022, section 4.2), by which the first round's share of a hospital's own model is."""
Tensors = dict[str, Tensor]


def hospitals_of(study: Study) -> list[Hospital]:
    """All of a simulated study."""
    return [open_hospital(study.json, index) for index in range(len(site_names(study)))]


def drawn(study: Study, hospitals: Sequence[Hospital]) -> nn.Module:
    """The network as the federation begins with it: the floor."""
    return first_network(study, study.build_task(), hospitals[0].train.shape)


def federated(study: Study, hospitals: Sequence[Hospital], begun: nn.Module | None = None) -> nn.Module:
    """What a run of the study ends with, bit for bit, without its messages and without what hospitals look at before
    they answer: that changes no number, and takes several times as long as training with a teacher does.

    begun: what it begins with; not given: as the seed draws it.
    """
    network = begun or drawn(study, hospitals)
    strategy: Strategy = STRATEGIES.build(study.strategy)
    parameters = read(network)
    state = strategy.init(parameters)
    for number in range(1, study.rounds + 1):
        updates = []
        for hospital in hospitals:
            write(network, parameters)
            training, draws = study.training.in_round(number), hospital.training_draws(number)
            task = task_in_round(hospital.task, number)
            updates.append(Trainer(task, network, hospital.train, training, draws).local_update()[0])
        total = sum(updates[1:], start=updates[0])
        contributions = Contributions(total, None, total.weight)
        state, parameters = in_round(strategy, study.server_schedule, number).step(state, parameters, contributions)
    write(network, parameters)
    return network


def pooled(study: Study, hospitals: Sequence[Hospital]) -> nn.Module:
    """Of all training cases together, passed over as often as in the federation."""
    task, cases = study.build_task(), concatenate([one.train for one in hospitals])
    network = first_network(study, task, cases.shape)
    rng = generator(study.seed, "pooled")
    for learned, training in baseline_rounds(study, task):
        steps = training.steps if study.training.steps is None else (training.steps or 0) * len(hospitals)
        Trainer(learned, network, cases, replace(training, steps=steps), rng).train()
    return network


def fedema(study: Study, hospitals: Sequence[Hospital]) -> nn.Module:
    """FedEMA's rule on this study's own steps (Zhuang et al. 2022, equations 1 to 4, with its automatic lambda).

    A teacher stays in its hospital. What a hospital begins a round with is a mean of the global and its own model,
    with its own weighed by lambda times the distance that its encoder moved in its last round, 1 at most.
    """
    task = study.build_task()
    shape, seed = hospitals[0].train.shape, study.seed
    whole = new_network(task, shape, seed)
    shared = _learned(whole)
    kept: dict[str, nn.Module] = {}
    moved: dict[str, float] = {}
    scale: dict[str, float] = {}
    counts = {one.site: len(one.train) for one in hospitals}
    for number in range(1, study.rounds + 1):
        sums = {name: torch.zeros_like(tensor) for name, tensor in shared.items()}
        for hospital in hospitals:
            site = hospital.site
            network = kept.setdefault(site, new_network(task, shape, seed))
            if site in moved:
                scale.setdefault(site, AUTO_SCALE / moved[site])
                _put_mean(network, shared, min(1.0, scale[site] * moved[site]))
            before = _encoder(network)
            training = study.training.in_round(number)
            Trainer(task, network, hospital.train, training, hospital.training_draws(number)).train()
            moved[site] = _distance(before, _encoder(network))
            for name, tensor in _learned(network).items():
                sums[name] += counts[site] * tensor
        shared = {name: tensor / sum(counts.values()) for name, tensor in sums.items()}
    _put_mean(whole, shared, 0.0)
    return whole


def supervised(study: Study, hospitals: Sequence[Hospital]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How sure a federated classifier of two classes is of the second, and the truth, of all test cases."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        run_quietly(study, folder)
        network = load_trained(folder).network
    cases = concatenate([one.splits["test"] for one in hospitals])
    return surer_of_second(network, cases), cases.targets.astype(np.int64)


def surer_of_second(network: nn.Module, cases: Cases) -> NDArray[np.float64]:
    """(N,) by how much a classifier's logit of the second of two classes is above that of the first."""
    with torch.no_grad():
        logits: Tensor = network.eval()(cases.batch().inputs).double()
    return (logits[:, 1] - logits[:, 0]).numpy()


def _learned(network: nn.Module) -> Tensors:
    others = {name for name, _ in companion_tensors(network)}
    return {name: one.detach().clone() for name, one in network.named_parameters() if name not in others}


def _encoder(network: nn.Module) -> Tensors:
    return {name: one for name, one in _learned(network).items() if name.startswith("encoder.") and one.ndim > 1}


def _distance(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> float:
    """Mean over layers of the L2 distance of their weights, as its authors' program has it."""
    return float(torch.stack([(after[name] - one).norm() for name, one in before.items()]).mean())


def _put_mean(network: nn.Module, shared: Mapping[str, Tensor], own: float) -> None:
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in shared:
                parameter.mul_(own).add_(shared[name], alpha=1 - own)
