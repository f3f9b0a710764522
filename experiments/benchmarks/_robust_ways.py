"""Ways of training on PneumoniaMNIST in six hospitals, and how much of what was learned is left as images change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.hospital import Hospital
from common.adversarial.aims import answering, loss_of, objective_of
from common.adversarial.inner_step import not_learning
from common.adversarial.masking import probed
from common.adversarial.perturbation import Perturbation
from common.adversarial.perturbations.apgd_ce import ApgdCe
from common.adversarial.perturbations.pgd import Pgd
from common.adversarial.perturbations.square import Square
from common.adversarial.recipe import FIRST
from common.adversarial.room import Room
from common.data.cases import Cases, concatenate
from common.learning.parameters import new_network, trainable
from common.learning.task import Task
from common.metrics.roc import ScoreHistogram
from common.seeding import case_generators, generator
from common.study.options import Entry
from common.study.study import Study, parse
from experiments.benchmarks._data import find
from experiments.benchmarks._pretraining_ways import federated, hospitals_of, pooled

STUDY = Path(__file__).parents[1] / "studies" / "pneumonia_robust.toml"
SIZES = (2, 4, 8)
"""Of 255 greys."""
PLAIN, COURSE, FGSM, PGD, TRADES, POOLED = "plain", "course", "FGSM", "PGD-5", "TRADES", "pooled PGD-5"
RECIPES: Mapping[str, dict[str, Any]] = {
    COURSE: {"name": "course"},
    FGSM: {"name": "fgsm"},
    PGD: {"name": "pgd", "steps": 5},
    TRADES: {"name": "trades", "beta": 3.0, "steps": 5},
    POOLED: {"name": "pgd", "steps": 5},
}
GROWING = (FGSM, PGD, TRADES)
"""The size of the change grows over the first rounds, as the shipped study says; of pooled images, where every step
sees both classes, and against a fixed first model it is whole at once."""
STRONGEST = Pgd(steps=20, step_share=0.125, restarts=2)
CUSTOM: tuple[Perturbation, ...] = (ApgdCe(steps=50), Square(queries=300))
"""As AutoAttack's "custom" version with apgd-ce and square; the worse counts."""
CASES_A_BATCH = 128
MOST_MEMBERS = 500
MEMBERS, OTHERS = "train", "validation"


@dataclass(frozen=True)
class Way:
    """name: of RECIPES, or plain. seed: of the study."""

    name: str
    seed: int

    @property
    def study(self) -> Study:
        """The shipped one, by this way's recipe."""
        text = STUDY.read_text(encoding="utf-8")
        folder = f'source.folder="{find("pneumoniamnist")}"'
        shipped = parse(text, [folder, f"seed={self.seed}", "baselines={local=false, pooled=false}"])
        inner = Entry("classification", shipped.task.options["task"])
        if self.name == PLAIN:
            options = {key: value for key, value in inner.options.items() if key != "name"}
            return replace(shipped, task=Entry("classification", options))
        options = {**shipped.task.options, "recipe": dict(RECIPES[self.name])}
        if self.name not in GROWING:
            del options["plain_rounds"], options["grows_over"]
        return replace(shipped, task=Entry("adversarial", options))

    def trained(self, plain: Mapping[str, torch.Tensor] | None) -> tuple[nn.Module, float]:
        """The network, and CPU seconds. plain: parameters of the plain way, against which the course's moves
        cases once, to train anew.
        """
        study, hospitals = self.study, _hospitals(self)
        begun = None
        if self.name == COURSE:
            assert plain is not None
            begun = new_network(study.build_task(), hospitals[0].train.shape, study.seed, study.training)
            _put(begun.get_submodule(FIRST), plain)
        start = process_time()
        network = pooled(study, hospitals) if self.name == POOLED else federated(study, hospitals, begun)
        return network.eval(), process_time() - start


@lru_cache(maxsize=1)
def _hospitals(way: Way) -> Sequence[Hospital]:
    return hospitals_of(way.study)


def cases_of(way: Way, split: str) -> Cases:
    """Of all hospitals."""
    parts = [one.train if split == MEMBERS else one.splits[split] for one in _hospitals(way)]
    return concatenate([part for part in parts if len(part)])


def parameters_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """By name, but those of a first model."""
    return {name: one.detach().clone() for name, one in trainable(network)}


def network_of(way: Way, parameters: Mapping[str, torch.Tensor]) -> nn.Module:
    """As it was trained."""
    network = new_network(way.study.build_task(), cases_of(way, "test").shape, 0)
    _put(network, parameters)
    return network.eval()


def _put(network: nn.Module, parameters: Mapping[str, torch.Tensor]) -> None:
    own = dict(network.named_parameters())
    with torch.no_grad():
        for name, value in parameters.items():
            own[name].copy_(value)


def inner_of(way: Way) -> Task:
    """The task whose answers are scored."""
    return answering(way.study.build_task())


def balanced(right: NDArray[np.bool_], targets: NDArray[np.int64]) -> float:
    """Mean over classes of the share that is answered rightly."""
    return float(np.mean([right[targets == one].mean() for one in np.unique(targets)]))


def rightly(way: Way, network: nn.Module, cases: Cases, size: int, ways: Sequence[Perturbation]) -> NDArray[np.bool_]:
    """(N,) whether a case is answered rightly as it is, and after every perturbation by up to size of 255."""
    task, room, found = inner_of(way), Room.of(size / 255, 0.0, 1.0), []
    with not_learning(network):
        for rows in _batches(len(cases)):
            batch = cases.batch(rows)
            right = task.predict(network, batch.inputs) == batch.targets
            for number, one in enumerate(ways if size else ()):
                draws = case_generators(generator(way.seed, int(rows[0]), number, "bench robust"), len(batch))
                moved = one.move(objective_of(one, task, network, batch), room, draws)
                right = right & (task.predict(network, moved) == batch.targets)
            found.append(right.numpy())
    return np.concatenate(found)


def scores(way: Way, network: nn.Module, split: str = "test") -> dict[str, float]:
    """Balanced accuracy as images are, and moved by each size."""
    cases = cases_of(way, split)
    targets = np.asarray(cases.targets, np.int64)
    found = {"clean": balanced(rightly(way, network, cases, 0, ()), targets)}
    for size in SIZES:
        found[f"{size}/255"] = balanced(rightly(way, network, cases, size, (STRONGEST,)), targets)
    return found


def membership(way: Way, network: nn.Module) -> dict[str, float]:
    """Chance that of a member and another, the member has the lower loss (Yeom et al. 2018), or the lower loss once
    it was moved (Song et al. 2019): .5 tells nothing.
    """
    parts = [cases_of(way, split) for split in (MEMBERS, OTHERS)]
    chosen = np.random.default_rng(way.seed)
    few = [part.take(chosen.permutation(len(part))[:MOST_MEMBERS]) for part in parts]
    found = {}
    for name, size in (("loss", 0), ("moved loss", 8)):
        losses = [_losses(way, network, cases, size) for cases in few]
        members = np.repeat([True, False], [len(one) for one in losses])
        found[name] = ScoreHistogram.of(-np.concatenate(losses).astype(np.float32), members).auc
    return found


def hidden(way: Way, network: nn.Module, count: int = 128) -> str:
    """Signs of masked gradients at 8 of 255; "none"."""
    cases = cases_of(way, "test")
    batch = cases.batch(np.random.default_rng(0).permutation(len(cases))[:count])
    with not_learning(network):
        found = probed(inner_of(way), network, batch, Room.of(8 / 255, 0.0, 1.0)).signs()
    return ", ".join(one.name for one in found) or "none"


def _losses(way: Way, network: nn.Module, cases: Cases, size: int) -> NDArray[np.float64]:
    task, room, found = inner_of(way), Room.of(size / 255, 0.0, 1.0), []
    with not_learning(network):
        for rows in _batches(len(cases)):
            batch = cases.batch(rows)
            objective = loss_of(task, network, batch)
            draws = case_generators(generator(way.seed, int(rows[0]), "membership"), len(batch))
            moved = Pgd(steps=10).move(objective, room, draws) if size else batch.inputs
            found.append(objective.values(moved).double().numpy())
    return np.concatenate(found)


def _batches(count: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, CASES_A_BATCH):
        yield np.arange(start, min(start + CASES_A_BATCH, count))
