"""The real ClientApp, but a hospital whose folder holds `mischief.txt` misbehaves from round 2 on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from client import app as honest
from common.sums.exchange import Payload
from common.wire.records import from_records, to_records

PATIENT = "Jane Doe, born 1950-02-03"
LARGEST = 1 << 24

app = ClientApp()
app.query("hello")(honest.hello)
app.evaluate("model")(honest.evaluate_model)
app.train("local")(honest.train_local)


@app.train("round")
def train_round(message: Message, context: Context) -> Message:
    """Answer honestly, then do the mischief."""
    number = from_records(message.content, LARGEST).numbers["round"]
    note = Path(str(context.node_config["folder"])) / "mischief.txt"
    if number == 1 or not note.exists():
        return honest.train_round(message, context)
    return MISCHIEF[note.read_text()](message, context)


def end_at_once(message: Message, context: Context) -> Message:
    return signal_itself(signal.SIGKILL)


def stand_still(message: Message, context: Context) -> Message:
    return signal_itself(signal.SIGSTOP)


def signal_itself(kind: signal.Signals) -> Message:
    """Another thread may take the signal, so that this one runs on for a moment: it must not reply in it."""
    os.kill(os.getpid(), kind)
    time.sleep(3600)
    raise AssertionError


def sleep_long(message: Message, context: Context) -> Message:
    time.sleep(3600)
    raise AssertionError


def raise_inside(message: Message, context: Context) -> Message:
    """An error in the honest app's own code."""

    def answer(*_: object) -> Payload:
        raise ValueError(f"no scan of {PATIENT}")

    return honest._reply(message, context, answer)


def raise_outside(message: Message, context: Context) -> Message:
    """An error that the honest app never sees."""
    raise ValueError(f"no scan of {PATIENT}")


def changed(change: Callable[[Payload], Payload]) -> Callable[[Message, Context], Message]:
    def answer(message: Message, context: Context) -> Message:
        payload = from_records(honest.train_round(message, context).content, LARGEST)
        return Message(to_records(change(payload)), reply_to=message)

    return answer


def with_array(array: np.ndarray) -> Callable[[Payload], Payload]:
    return lambda payload: Payload(array.astype(np.float32), payload.numbers, payload.words)


def with_nan(payload: Payload) -> Payload:
    assert payload.array is not None
    array = payload.array.copy()
    array[3] = np.nan
    return Payload(array, payload.numbers, payload.words)


def with_weight(weight: float) -> Callable[[Payload], Payload]:
    return lambda payload: Payload(payload.array, {**payload.numbers, "weight": weight}, payload.words)


def nonsense(message: Message, context: Context) -> Message:
    records = RecordDict({"numbers": ArrayRecord({}), "array": MetricRecord({"a": 1.0}), "x": ConfigRecord({})})
    return Message(records, reply_to=message)


MISCHIEF: dict[str, Callable[[Message, Context], Message]] = {
    "end": end_at_once,
    "stop": stand_still,
    "sleep": sleep_long,
    "raise inside": raise_inside,
    "raise outside": raise_outside,
    "nan": changed(with_nan),
    "wrong shape": changed(with_array(np.zeros(3))),
    "negative weight": changed(with_weight(-5.0)),
    "huge weight": changed(with_weight(1e9)),
    "nonsense": nonsense,
}
