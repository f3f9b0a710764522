"""The real ClientApp, but a hospital whose own folder holds `poisons.json` harms the model it helps to train.

What it does to its update is done before the aggregation protects it, and so under masks and encryption too. It votes
for every model that it helped to make. A hospital whose data are changed runs the honest program, with the bound of
`[defence]` at its door; one that changes its update runs another, and is bound by nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from client import app as honest
from client import handlers as answers
from client.hospital import Hospital
from common.data.cases import Cases
from common.sums.ballots import Choice
from common.sums.exchange import Payload
from common.sums.update import Update
from common.wire.train_requests import Order

NOTE = "poisons.json"
SCALE = -10.0
"""What a sign-flipped update is multiplied by: enough to turn the mean of ten hospitals round."""

app = ClientApp()
app.query("hello")(honest.hello)
app.query("protocol")(honest.protocol)
app.train("local")(honest.train_local)


@dataclass(frozen=True)
class Poison:
    """kind: one of KINDS. first_round: until then it is honest, so as to be trusted."""

    kind: str
    first_round: int = 1

    @classmethod
    def noted(cls, context: Context) -> Poison | None:
        """What the note in this hospital's folder says; None where there is none."""
        note = Path(str(context.node_config["folder"])) / NOTE
        return cls(**json.loads(note.read_text(encoding="utf-8"))) if note.exists() else None


@app.train("round")
def train_round(message: Message, context: Context) -> Message:
    """As the note says; honestly where there is none."""
    poison = Poison.noted(context)
    if poison is None:
        return honest.train_round(message, context)
    return honest._reply(message, context, partial(_answer, poison))


@app.evaluate("model")
def evaluate_model(message: Message, context: Context) -> Message:
    """Honest, and so is its vote where votes are read singly: one among many."""
    return honest.evaluate_model(message, context)


def _answer(poison: Poison, hospital: Hospital, request: Payload, kept: answers.RequestContext) -> Payload:
    begun = int(str(request.numbers.get("round", 0))) >= poison.first_round
    if begun and poison.kind in BY_DATA:
        hospital = _of_other_labels(hospital)
    half = answers.Half(_vote_for_all, partial(_changed, poison.kind if begun else ""))
    return answers.round_(hospital, request, kept, half)


def _vote_for_all(hospital: Hospital, order: Order, kept: answers.RequestContext) -> Choice | None:
    return None if order.reference is None else "fine"


def _changed(
    kind: str, hospital: Hospital, order: Order, kept: answers.RequestContext, vote: Choice | None
) -> Update:
    if kind in ("", "label flip"):
        return answers.update_of(hospital, order, kept)
    if kind == "model replacement":
        return _scaled(answers.update_of(_of_other_labels(hospital), order, kept), float(len(hospital.roster)))
    update = answers.update_of(hospital, order, kept)
    if kind == "sign flip":
        return _scaled(update, SCALE)
    return _as_long_as_allowed(update, hospital.study.defence.update_norm)


def _as_long_as_allowed(update: Update, update_norm: float | None) -> Update:
    """Turned round, and as long as the bound lets a hospital's be; where there is none, as long as it likes."""
    norm = float(np.linalg.norm(update.vectors[0].astype(np.float64))) / update.weight
    return _scaled(update, SCALE if update_norm is None or not norm else -update_norm / norm)


def _scaled(update: Update, factor: float) -> Update:
    first = (update.vectors[0].astype(np.float64) * factor).astype(np.float32)
    return replace(update, vectors=(first, *update.vectors[1:]))


def _of_other_labels(hospital: Hospital) -> Hospital:
    train = hospital.train
    return replace(hospital, splits={**hospital.splits, "train": train.with_columns(targets=_turned(train))})


def _turned(cases: Cases) -> NDArray[Any]:
    """The last class for the first and so on; of numbers, each as far on the other side of their mean."""
    targets = cases.targets
    middle = len(cases.classes) - 1 if cases.classes else 2 * targets.mean(axis=0)
    return np.asarray(middle - targets, dtype=targets.dtype)


BY_DATA = ("label flip",)
KINDS: Mapping[str, str] = {
    "sign flip": "turns its update round and makes it ten times as long",
    "sign flip within the bound": "turns its update round, as long as the sum's check lets pass",
    "label flip": "exchanges its labels, and runs the honest program",
    "model replacement": "trains on exchanged labels, and scales its update by the number of hospitals",
}
"""By what a poisoner does, in words."""
