"""The real ClientApp, but a hospital whose folder holds `fails.txt` raises in the leg that the file names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client import app as honest
from common.sums.exchange import Payload

PATIENT = "Jane Doe, born 1950-02-03"

app = ClientApp()


def failing(leg: str, answer: Callable[[Message, Context], Message]) -> Callable[[Message, Context], Message]:
    def handle(message: Message, context: Context) -> Message:
        note = Path(str(context.node_config["folder"])) / "fails.txt"
        if not note.exists() or leg not in note.read_text().split(","):
            return answer(message, context)

        def raising(*_: object) -> Payload:
            raise ValueError(f"no scan of {PATIENT}")

        return honest._reply(message, context, cast(honest.Answer, raising))

    return handle


app.query("hello")(failing("hello", honest.hello))
app.train("round")(failing("round", honest.train_round))
app.evaluate("model")(failing("model", honest.evaluate_model))
app.train("local")(failing("local", honest.train_local))
app.query("protocol")(failing("protocol", honest.protocol))
