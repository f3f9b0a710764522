"""Rows of `bench explain`: federations with and without a marked hospital, looked at by sums of maps alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.case_maps import filled
from client.partitions.marked import Marked
from client.sources.medmnist import MedMnist
from client.training import Trainer
from common.analyses.attribution_maps import AttributionMaps
from common.asking.analysis import Analysis, Public
from common.asking.maps import ANSWERED, block_slices, share_name, shares, without_name
from common.asking.noise import SumNoise
from common.asking.pooled import NoisySums, ask_tables
from common.asking.records import Records
from common.attribution.aim import Logits
from common.attribution.faithfulness.marker import Marker
from common.attribution.methods.occlusion import Occlusion
from common.data.cases import Cases
from common.learning.client_work import Training
from common.learning.parameters import new_network, read, write
from common.privacy.noise import SeededNoise
from common.seeding import generator
from experiments.benchmark import Target
from experiments.benchmarks._data import find
from experiments.benchmarks._flat_cnn import ByFlatCNN
from experiments.benchmarks._kept_rows import KeptRows, Row

HOSPITALS, TRAINED, ROUNDS = 5, 2500, 5
"""Cases of all hospitals together; rounds of one epoch each."""
MOST_LOOKED, BATCH = 120, 50
"""Cases of a class at a hospital whose maps are summed."""
SIDE = 7
METHOD = Occlusion(window=(4,), stride=(4,))
TRAINING = Training(batch_size=32, optimiser="adamw", learning_rate=4e-3)
CLASSES = ("normal", "pneumonia")
EPSILONS = (1.0, 4.0)
LEAST_RIGHT, MOST_SEEDS = 0.9, 10
PLACE = (2, 2)
LETTER = Marker(place=PLACE)


@dataclass(frozen=True)
class Federation:
    """A row's name, hospitals that are marked, the share of their ill patients, and the mark."""

    name: str
    marked: tuple[int, ...] = ()
    share: float = 0.95
    marker: Marker = LETTER
    seeds: int = MOST_SEEDS

    @property
    def blocks(self) -> set[int]:
        """That the letter touches."""
        inside = self.marker.mask((1, 28, 28))
        return {place for place in range(SIDE**2) if inside[block_slices((28, 28), SIDE, place)].any()}


FEDERATIONS = (
    Federation("95 % of one hospital's ill", (2,)),
    Federation("no mark"),
    Federation("30 % of one hospital's ill", (2,), 0.3, seeds=3),
    Federation("60 % of one hospital's ill", (2,), 0.6, seeds=3),
    Federation("two hospitals", (1, 2), seeds=3),
    Federation("invisible (5 % of white)", (2,), marker=Marker(strength=0.05, place=PLACE), seeds=3),
    Federation("a tint (10 % of white)", (2,), marker=Marker("tint", 0.1), seeds=3),
)
SETTING = repr((HOSPITALS, TRAINED, ROUNDS, MOST_LOOKED, METHOD, TRAINING))


def hospital_rows(kept: KeptRows) -> list[Row]:
    """One of each, then those that targets are of: it may end before all are there."""
    trials = [(one, seed) for one in FEDERATIONS for seed in range(one.seeds)]
    trials.sort(key=lambda trial: (trial[1] > 0 and trial[0].seeds < MOST_SEEDS, trial[1]))
    return [
        kept.row(
            {"what": "hospital", "federation": one.name, "seed": seed},
            SETTING + repr(one),
            partial(looked_at, one, seed),
        )
        for one, seed in trials
    ]


def looked_at(federation: Federation, seed: int) -> dict[str, Any]:
    """Whether the shortcut was learned, and what the sums name, as they are and with noise."""
    network, parts, healthy = trained(federation, seed)
    looked = [Looked.at(network, part, f"hospital-{site}") for site, part in enumerate(parts)]
    public = Public(tuple(one.site for one in looked), {"class": CLASSES})
    analysis: Analysis = AttributionMaps(side=SIDE)
    first = ask_tables(analysis, [one.records(()) for one in looked], public).answer.numbers
    tables = [one.records({int(found["block"]) for found in first["found"]}) for one in looked]
    exact = ask_tables(analysis, tables, public).answer.numbers
    found = {"exact": judged(federation, exact)}
    for epsilon in EPSILONS:
        source = SeededNoise(generator(seed, federation.name, "noise of maps"))
        sums = NoisySums(SumNoise(epsilon, rounds=2), source)
        found[f"epsilon {epsilon:g}"] = judged(federation, sums.ask(analysis, tables, public).answer.numbers)
    marked = torch.from_numpy(federation.marker.planted(healthy.numpy()))
    return {
        **{f"{how}: {name}": value for how, own in found.items() for name, value in own.items()},
        "called_ill_with": called_ill(network, marked),
        "called_ill_without": called_ill(network, healthy),
    }


def judged(federation: Federation, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """right: every marked hospital named with a block of the mark, and no other hospital. wrong: others named."""
    named = [(str(one["hospital"]), int(one["block"]), float(one["excess"] or 0.0)) for one in numbers["found"]]
    wanted = {f"hospital-{site}" for site in federation.marked}
    hits = {hospital for hospital, block, _ in named if hospital in wanted and block in federation.blocks}
    wrong = [hospital for hospital, block, _ in named if hospital not in wanted or block not in federation.blocks]
    limits = [one for row in numbers["limits"] for one in row if one is not None]
    first = next((one for one in numbers["found"]), None)
    return {
        "right": hits == wanted and not wrong,
        "found": len(hits),
        "wrong": len(wrong),
        "excess": max((excess for hospital, _, excess in named if hospital in wanted), default=None),
        "limit": float(np.median(limits)) if limits else None,
        "right_before": None if first is None else float(first["right"]),
        "right_filled": None if first is None else float(first["right_filled"]),
    }


def trained(federation: Federation, seed: int) -> tuple[nn.Module, list[Cases], Tensor]:
    """FedAvg. Returns the model, every hospital's cases, and healthy patients of the test set."""
    data = chests()
    drawn = generator(seed, "cases").permutation(np.flatnonzero(data.given_split == "train"))[:TRAINED]
    cases = data.take(np.sort(drawn))
    partition = Marked(HOSPITALS, federation.marked, federation.share, marker=federation.marker)
    whose = partition.assign(cases, generator(seed, "partition"))
    parts = [
        partition.adapt(cases.take(np.flatnonzero(whose == site)), site, generator(seed, site, "scanner"))
        for site in range(HOSPITALS)
    ]
    task = ByFlatCNN()
    network = new_network(task, cases.shape, seed, TRAINING)
    for number in range(ROUNDS):
        begun, changes = read(network), []
        for site, part in enumerate(parts):
            write(network, begun)
            Trainer(task, network, part, TRAINING, generator(seed, number, site, "hospitals")).train()
            changes.append(read(network).astype(np.float64))
        write(network, np.mean(changes, 0).astype(np.float32))
    tested = data.take(np.flatnonzero((data.given_split != "train") & (np.asarray(data.targets) == 0)))
    return network.eval(), parts, torch.from_numpy(tested.inputs)


@dataclass(frozen=True, eq=False)
class Looked:
    """Of one hospital. shares: (N, blocks) of its cases' maps."""

    site: str
    network: nn.Module
    inputs: Tensor
    labels: Tensor
    shares: NDArray[np.float64]

    @classmethod
    def at(cls, network: nn.Module, cases: Cases, site: str) -> Looked:
        """As a hospital looks, but at many cases at a time."""
        truth = np.asarray(cases.targets)
        chosen = np.concatenate([np.flatnonzero(truth == label)[:MOST_LOOKED] for label in range(len(CLASSES))])
        inputs, labels = torch.from_numpy(cases.inputs[chosen]), torch.from_numpy(truth[chosen]).long()
        maps = [
            METHOD.explain(network, own, Logits(label), generator(0, "maps")).double().abs().sum(1).numpy()
            for own, label in zip(torch.split(inputs, BATCH), torch.split(labels, BATCH), strict=True)
        ]
        return cls(site, network, inputs, labels, shares(np.concatenate(maps), SIDE))

    def records(self, places: Collection[int]) -> Records:
        """Blocks beside these are not filled, and count as if nothing changed."""
        own = self._right(self.inputs)
        without = [
            self._right(filled(self.inputs, SIDE, block)) if block in places else own for block in range(SIDE**2)
        ]
        blocks = range(SIDE**2)
        names = [ANSWERED, *map(without_name, blocks), *map(share_name, blocks)]
        columns: dict[str, Any] = dict(zip(names, [own, *without, *self.shares.T], strict=True))
        columns |= {"class": np.array(CLASSES)[self.labels.numpy()], "part": np.full(len(self.labels), "train")}
        return Records(columns, np.array([f"{self.site}-{place}" for place in range(len(self.labels))]), self.site)

    def _right(self, inputs: Tensor) -> NDArray[np.float64]:
        with torch.no_grad():
            return np.asarray((self.network(inputs).argmax(1) == self.labels).double().numpy())


def called_ill(network: nn.Module, inputs: Tensor) -> float:
    """Share."""
    with torch.no_grad():
        return float((network(inputs).argmax(1) == 1).double().mean())


@lru_cache(maxsize=1)
def chests() -> Cases:
    """PneumoniaMNIST."""
    return MedMnist(str(find("pneumoniamnist")), classes=CLASSES).cases(None, 0)


def hospital_targets(rows: Sequence[Row]) -> list[Target]:
    """Of the marked federations and the clean ones, as they are asked without noise."""
    marked, clean = (_of(rows, one) for one in FEDERATIONS[:2])
    right = sum(bool(row["exact: right"]) for row in marked) if marked else None
    alarms = sum(int(row["exact: wrong"]) for row in clean) if clean else None
    least = LEAST_RIGHT * len(marked)
    return [
        Target("right hospital and block", right, len(marked), least, "at least 9 in 10", _met(right, least)),
        Target("alarms in clean federations", alarms, len(clean), 0, "none", None if alarms is None else alarms == 0),
    ]


def hospital_notes(rows: Sequence[Row]) -> list[str]:
    """A sentence a federation."""
    return [_sentence(one, own) for one in FEDERATIONS if (own := _of(rows, one))]


def _sentence(federation: Federation, own: Sequence[Row]) -> str:
    asked = ("exact", *(f"epsilon {epsilon:g}" for epsilon in EPSILONS))
    said = [
        f"{how}: {sum(bool(row[f'{how}: right']) for row in own)} of {len(own)} right, "
        f"{sum(int(row[f'{how}: wrong']) for row in own)} wrong alarms"
        for how in asked
    ]
    excess = [float(row["exact: excess"]) for row in own if row["exact: excess"] is not None]
    called = [100 * float(np.mean([row[f"called_ill_{how}"] for row in own])) for how in ("with", "without")]
    times = f"; {np.median(excess):.1f} times the others' largest excess" if excess else ""
    limit = 100 * float(np.mean([row["exact: limit"] for row in own]))
    return (
        f"{federation.name}: {'; '.join(said)}{times}. Healthy called ill with the mark {called[0]:.0f} %, without "
        f"{called[1]:.0f} %; found from {limit:.0f} % of a map in a block on."
    )


def _of(rows: Sequence[Row], federation: Federation) -> list[Row]:
    return [row for row in rows if row.get("federation") == federation.name]


def _met(right: int | None, least: float) -> bool | None:
    return None if right is None else right >= least
