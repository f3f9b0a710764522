"""Label-efficiency: every encoder at every share of labels and every draw, scored on all hospitals' test cases.

An untrained encoder is always among them: its features alone may tell classes apart, and a figure without this floor
says nothing of the pretraining.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from client.hospital import Hospital, open_hospital
from common.analyses._probe_scores import ALL, Scored
from common.analyses.probe_knn import ProbeKnn
from common.analyses.probe_logistic import ProbeLogistic
from common.analyses.probe_ridge import ProbeRidge
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError
from common.learning.abilities import abilities
from common.learning.client_work import Training
from common.learning.device import exact_copy
from common.study.study import Study
from experiments.engines._quiet import run_quietly
from experiments.prediction.trained import load_trained
from experiments.probing.studied import Studied

PRETRAINED, FLOOR, POOLED = "pretrained", "untrained (floor)", "pretrained on pooled data"
SCRATCH, TUNED = "supervised from scratch", "fine-tuned"
METHODS: Mapping[str, Any] = {"logistic": ProbeLogistic, "ridge": ProbeRidge, "knn": ProbeKnn}
CASES_AT_ONCE = 64
GENTLE = 0.1
"""Of the learning rate from scratch: that of fine-tuning."""
Advance = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What is wanted. shares: of labels. draws: of each share below 1. options: of the probe, beside its draw.

    scratch, tuned: whether the network is also trained on the same labels, from nothing and from the encoder, in
    `rounds` rounds of federated averaging by `training`. pooled: whether an encoder is pretrained on pooled data.
    """

    shares: tuple[float, ...] = (0.01, 0.1, 1.0)
    draws: int = 3
    method: str = "logistic"
    options: Mapping[str, Any] = field(default_factory=dict)
    scratch: bool = False
    tuned: bool = False
    pooled: bool = False
    rounds: int = 20
    training: Training = field(
        default_factory=lambda: Training(epochs=1, batch_size=32, learning_rate=1e-3, optimiser="adamw")
    )

    def draws_of(self, share: float, encoder: str) -> range:
        """With all labels there is one draw; untrained encoders are drawn as well, and networks' training too."""
        return range(1 if share == 1 and encoder in (PRETRAINED, POOLED) else self.draws)

    @property
    def encoders(self) -> tuple[str, ...]:
        """In the order of the page; the floor is never left out."""
        more = {POOLED: self.pooled, SCRATCH: self.scratch, TUNED: self.tuned}
        return (PRETRAINED, FLOOR, *(name for name, wanted in more.items() if wanted))

    @property
    def steps(self) -> int:
        """How many rows there are to be."""
        return sum(len(self.draws_of(share, name)) for share in self.shares for name in self.encoders)


@dataclass(frozen=True)
class Row:
    """One encoder at one share and draw. scores: of all hospitals, under ALL, and of each. why: where it has none."""

    encoder: str
    share: float
    draw: int
    labels: Mapping[str, int]
    scores: Mapping[str, Mapping[str, Any]]
    why: str = ""


def rows_of(studied: Studied, asked: Asked, folder: Path, advance: Advance) -> Iterator[Row]:
    """Every row, one encoder after the other. folder: of the networks that are trained."""
    for name in asked.encoders:
        if name in (SCRATCH, TUNED):
            yield from _trained(studied, asked, name, folder, advance)
            continue
        tables: tuple[Records, ...] = ()
        if name != FLOOR:
            advance(f"{name}: features")
            tables = studied.tables(studied.pooled()) if name == POOLED else studied.own_tables
        for draw in range(asked.draws):
            if name == FLOOR:
                advance(f"{name}: features of encoder {draw}")
                tables = studied.tables(studied.untrained(draw))
            for share in asked.shares:
                if draw in asked.draws_of(share, name):
                    yield _probed(studied, asked, name, tables, share, draw)


def _probed(studied: Studied, asked: Asked, name: str, tables: Sequence[Records], share: float, draw: int) -> Row:
    draws = {"share": share, "draw": draw, "seed": studied.study.seed, "least": 1, "by_hospital": True}
    probe = METHODS[asked.method](**{"bins": 4096, **asked.options, **draws})
    try:
        found = ask_tables(probe, tables, studied.public).answer.numbers
    except AnalysisError as error:
        return Row(name, share, draw, {}, {}, str(error))
    own = {key: found[key] for key in Scored.FIGURES}
    return Row(name, share, draw, found["labels"], {ALL: own, **found["hospitals"]})


def _trained(studied: Studied, asked: Asked, name: str, folder: Path, advance: Advance) -> Iterator[Row]:
    """A network trained on the drawn labels by every hospital together."""
    for share in asked.shares:
        for draw in asked.draws_of(share, name):
            advance(f"{name}: {100 * share:g} % of labels, draw {draw}")
            study = studied.supervised(share, draw, asked.rounds, asked.training)
            place = folder / f"{'tuned' if name == TUNED else 'scratch'}-{share:g}-{draw}"
            if name == TUNED:
                study = _begun(studied, asked, replace(study, training=_gentle(study.training)), place)
            run_quietly(study, place, place.name)
            network = load_trained(place).network
            hospitals = [open_hospital(study.json, index) for index in range(len(studied.hospitals))]
            scored = {one.site: _scored(study, one, network) for one in hospitals}
            labels = np.sum([one.train.label_counts for one in hospitals], axis=0).tolist()
            figures = {site: _figures([one]) for site, one in scored.items() if len(one[0])}
            everybody = _figures(list(scored.values()))
            yield Row(name, share, draw, dict(zip(studied.classes, labels, strict=True)), {ALL: everybody, **figures})


def _begun(studied: Studied, asked: Asked, study: Study, place: Path) -> Study:
    """From the run's encoder, and the probe of the same labels behind it."""
    training = study.training
    assert training.label_share is not None
    draws = {"share": training.label_share, "draw": training.label_draw or 0, "seed": study.seed, "least": 1}
    own = asked.options if asked.method == "logistic" else {}
    found = ask_tables(ProbeLogistic(**{**own, **draws}), studied.own_tables, studied.public).answer.numbers
    coefficients, intercepts = (np.array(found[name], np.float64) for name in ("coefficients", "intercepts"))
    file = place.with_name(f"{place.name}-start") / "model.safetensors"
    return studied.begun(study, coefficients, intercepts, file)


def _gentle(training: Training) -> Training:
    """What was learned without labels moves by small steps."""
    return replace(training, learning_rate=training.learning_rate * GENTLE)


def _scored(study: Study, hospital: Hospital, network: torch.nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """(N,) classes of a hospital's test cases and (N, K) logits, in double precision."""
    exact, cases = exact_copy(network).cpu().eval(), hospital.splits["test"]
    found = [np.zeros((0, len(cases.classes)))]
    with torch.no_grad():
        for begin in range(0, len(cases), CASES_AT_ONCE):
            inputs = cases.batch(slice(begin, begin + CASES_AT_ONCE)).inputs.double()
            found.append(abilities(study.build_task()).logits(exact, inputs).numpy())
    return cases.targets.astype(np.int64), np.concatenate(found)


def _figures(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Mapping[str, Any]:
    """The probe's own figures, from scores as they are."""
    labels, logits = (np.concatenate(one) for one in zip(*parts, strict=True))
    return Scored.exactly(labels, logits).numbers()
