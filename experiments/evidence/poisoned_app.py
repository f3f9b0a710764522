"""The real ClientApp, but a hospital whose own folder holds `poisons.txt` harms the model it helps to train."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from client import answers
from client import app as honest
from client.hospital import Hospital
from common.data.cases import Cases
from common.sums.exchange import Payload
from common.wire.records import from_records, to_records

NOTE = "poisons.txt"
SCALE = -10.0
"""What a sign-flipped update is multiplied by: enough to turn the mean of ten hospitals round."""

Train = Callable[[Message, Context], Message]

app = ClientApp()
app.query("hello")(honest.hello)
app.query("protocol")(honest.protocol)
app.evaluate("model")(honest.evaluate_model)
app.train("local")(honest.train_local)


@app.train("round")
def train_round(message: Message, context: Context) -> Message:
    """As the note in this hospital's folder says; honestly where there is none."""
    note = Path(str(context.node_config["folder"])) / NOTE
    return KINDS[note.read_text(encoding="utf-8")](message, context) if note.exists() else _honest(message, context)


def _honest(message: Message, context: Context) -> Message:
    return honest.train_round(message, context)


def _sign_flipped(message: Message, context: Context) -> Message:
    reply = _honest(message, context)
    payload = from_records(reply.content, honest.LARGEST_ARRAY, honest.LARGEST_DATA)
    if payload.array is None:
        return reply
    turned = np.asarray(SCALE * payload.array, dtype=np.float32)
    return Message(to_records(replace(payload, array=turned)), reply_to=message)


def _label_flipped(message: Message, context: Context) -> Message:
    def answer(hospital: Hospital, request: Payload, kept: answers.Kept) -> Payload:
        train = hospital.train
        flipped = train.with_columns(targets=_turned(train))
        return answers.round_(replace(hospital, splits={**hospital.splits, "train": flipped}), request, kept)

    return honest._reply(message, context, answer)


def _turned(cases: Cases) -> NDArray[Any]:
    """The last class for the first and so on; of numbers, each as far on the other side of their mean."""
    targets = cases.targets
    middle = len(cases.classes) - 1 if cases.classes else 2 * targets.mean(axis=0)
    return np.asarray(middle - targets, dtype=targets.dtype)


KINDS: Mapping[str, Train] = {"sign flip": _sign_flipped, "label flip": _label_flipped}
