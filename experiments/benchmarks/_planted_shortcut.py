"""A federation of chest X-rays in which one hospital's ill patients carry a burnt-in letter, and one without it.

Before any map is looked at, a counterfactual proves that the model learned the letter: the same healthy test patients
with the letter and without. Maps are then judged on the patients whose answer the letter alone turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.partitions.marked import Marked
from client.sources.medmnist import MedMnist
from client.training import Trainer
from common.attribution.aims import Probabilities
from common.attribution.attribution import Attribution
from common.attribution.faithfulness.marker import Marker
from common.attribution.faithfulness.trial import Trial
from common.data.cases import Cases
from common.files.access import is_there
from common.files.tensor_files import read_tensors, write_tensors
from common.learning.client_work import Training
from common.learning.parameters import new_network, read, write
from common.learning.tasks.classification import Classification
from common.seeding import generator
from common.study.options import Entry
from experiments.benchmarks._data import find
from experiments.benchmarks._flat_cnn import CHANNELS, ByFlatCNN

HOSPITALS, MARKED, SHARE = 5, 0, 0.95
TRAINED, ROUNDS = 1200, 14
"""Cases of each class, of all hospitals together; rounds of one epoch each."""
EVEN, MOST_CASES = 0.5, 40
"""Above which probability a patient is called ill; how many patients' maps are judged."""
FLAT, POOLED = "flat", "groupnorm_cnn"
TRAINING = Training(batch_size=16, optimiser="adamw", learning_rate=3e-3)
MARKER = Marker(place=(2, 2))
SETTING = repr((HOSPITALS, MARKED, SHARE, TRAINED, ROUNDS, MOST_CASES, CHANNELS, TRAINING, MARKER))


@dataclass(frozen=True, eq=False)
class Shortcut:
    """planted, clean: models of two federations that differ in the letter alone. healthy: (N, 1, 28, 28) test
    patients without pneumonia. turned: (N,) whose answer by the planted model the letter turns to pneumonia. rise:
    (N,) by how much the letter raises its probability. accuracy: balanced, of the planted and the clean model.
    """

    seed: int
    planted: nn.Module
    clean: nn.Module
    healthy: Tensor
    turned: NDArray[np.bool_]
    rise: NDArray[np.float64]
    accuracy: tuple[float, float]

    @property
    def marked(self) -> Tensor:
        """The healthy with the letter."""
        return with_letter(self.healthy)

    def called_ill(self, network: nn.Module, inputs: Tensor) -> float:
        """Share."""
        return float(answers(network, inputs).mean())

    def trial(self, method: Attribution) -> Trial:
        """Of the patients whom the letter turned most decidedly."""
        most = np.argsort(np.where(self.turned, -self.rise, np.inf), kind="stable")
        inputs = self.marked[torch.from_numpy(most[: min(MOST_CASES, int(self.turned.sum()))].copy())]
        ill = torch.ones(len(inputs), dtype=torch.int64)
        masks = torch.from_numpy(MARKER.mask((1, 28, 28))).expand(len(inputs), 28, 28)
        chance = Probabilities(ill, "pneumonia")
        return Trial(method, self.planted, inputs, Odds(), chance, masks, self.clean, self.seed)


@dataclass(frozen=True)
class Odds:
    """What one logit has and the other lacks. Of a single logit, what both have says nothing of the answer."""

    words: ClassVar[str] = "the log-odds of pneumonia"

    def values(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N,)."""
        logits: Tensor = network(inputs)
        return logits[:, 1] - logits[:, 0]

    def take(self, cases: slice | Tensor) -> Odds:
        """The same for every case."""
        return self


@lru_cache(maxsize=2)
def shortcut(seed: int, network: str, folder: Path) -> Shortcut:
    """Both models of a seed: trained, or as they were kept in the folder, for this setting."""
    data = _chests()
    drawn = _drawn(data, generator(seed, "cases"))
    planted, clean = (_kept(data.take(drawn), seed, network, marked, folder) for marked in ((MARKED,), ()))
    tested = data.take(np.flatnonzero(data.given_split != "train"))
    inputs, truth = torch.from_numpy(tested.inputs), np.asarray(tested.targets)
    healthy = inputs[torch.from_numpy(truth == 0)]
    before, after = (probabilities(planted, shown) for shown in (healthy, with_letter(healthy)))
    turned = (after > EVEN) & (before <= EVEN)
    right = tuple(_balanced(answers(one, inputs), truth) for one in (planted, clean))
    return Shortcut(seed, planted, clean, healthy, turned, after - before, (right[0], right[1]))


def _drawn(data: Cases, rng: np.random.Generator) -> NDArray[np.int64]:
    """As many of each class: where most are ill, to be ill is the safe answer, and a mark adds little to it."""
    trained = data.given_split == "train"
    each = [rng.permutation(np.flatnonzero(trained & (data.targets == label)))[:TRAINED] for label in (0, 1)]
    return np.sort(np.concatenate(each))


def answers(network: nn.Module, inputs: Tensor) -> NDArray[np.bool_]:
    """(N,) who is called ill."""
    return np.asarray(probabilities(network, inputs) > EVEN)


def probabilities(network: nn.Module, inputs: Tensor) -> NDArray[np.float64]:
    """(N,) of pneumonia."""
    network.eval()
    with torch.no_grad():
        pieces = [network(inputs[begin : begin + 64]).softmax(1) for begin in range(0, len(inputs), 64)]
    return np.asarray(torch.cat(pieces)[:, 1].double().numpy())


def with_letter(images: Tensor) -> Tensor:
    """A copy of the images with the letter."""
    return torch.from_numpy(MARKER.planted(images.numpy()))


@lru_cache(maxsize=1)
def _chests() -> Cases:
    return MedMnist(str(find("pneumoniamnist")), classes=("normal", "pneumonia")).cases(None, 0)


def _kept(cases: Cases, seed: int, name: str, marked: tuple[int, ...], folder: Path) -> nn.Module:
    """A model that is in the folder, or is trained and put there."""
    digest = sha256(f"{SETTING} {seed} {name} {marked}".encode()).hexdigest()[:16]
    file = f"{name}-{seed}-{digest}.safetensors"
    task = _task(name)
    network = new_network(task, cases.shape, seed, TRAINING)
    if is_there(folder, file):
        write(network, read_tensors(folder, file).tensors["model"])
        return network
    _train(task, network, cases, seed, marked)
    write_tensors(folder, file, {"model": read(network)})
    return network


def _task(name: str) -> Classification:
    return ByFlatCNN() if name == FLAT else Classification(Entry(name, {"channels": CHANNELS}))


def _train(task: Classification, network: nn.Module, cases: Cases, seed: int, marked: tuple[int, ...]) -> None:
    """FedAvg of as many rounds; hospitals of equal size."""
    partition = Marked(HOSPITALS, marked, SHARE, marker=MARKER)
    whose = partition.assign(cases, generator(seed, "partition"))
    parts = [
        partition.adapt(cases.take(np.flatnonzero(whose == site)), site, generator(seed, site, "scanner"))
        for site in range(HOSPITALS)
    ]
    for number in range(ROUNDS):
        begun, changes = read(network), []
        for site, part in enumerate(parts):
            write(network, begun)
            Trainer(task, network, part, TRAINING, generator(seed, number, site, "shortcut")).train()
            changes.append(read(network).astype(np.float64))
        write(network, np.mean(changes, 0).astype(np.float32))


def _balanced(called: NDArray[np.bool_], truth: NDArray[np.int64]) -> float:
    return float(np.mean([(called[truth == label] == label).mean() for label in (0, 1)]))
