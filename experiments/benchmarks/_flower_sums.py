"""Flower's SecAgg+ workflow on one process: its own server stages, its own client mod, nothing between them.

`SecAggPlusWorkflow` talks to a grid; here the grid hands each message to `secaggplus_mod` at once, so that CPU
seconds can be counted on each side. The strategy does no more than keep the aggregate.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import process_time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitIns, FitRes, Parameters, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common import recorddict_compat as compat
from flwr.server import LegacyContext
from flwr.server.client_proxy import ClientProxy
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from numpy.typing import NDArray

from common.errors import EngineError
from common.wire.message_bytes import from_own_bytes, identify, size_of, to_bytes

MASKED_LEG = 2
"""Setup, share keys, collect masked vectors, unmask."""


@dataclass(frozen=True)
class Flowered:
    """mean: (n,) float64. client_s, sent_bytes: of each client that took part to the end. server_s: the rest."""

    mean: NDArray[np.float64]
    client_s: Mapping[int, float]
    sent_bytes: Mapping[int, int]
    server_s: float


def secagg_plus(
    values: Mapping[int, NDArray[np.float32]], examples: Mapping[int, int], lost: Iterable[int], clipping_range: float
) -> Flowered:
    """One round of all clients, shares for all. lost: clients silent from the masked vectors on.

    Raises EngineError where the workflow halts.
    """
    grid = _Grid(values, examples, frozenset(lost))
    nothing = Context(0, 0, {}, RecordDict(), {})
    context = LegacyContext(nothing, strategy=_Keep(tuple(values)))
    context.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: 1})
    context.state.array_records[MAIN_PARAMS_RECORD] = ArrayRecord()
    workflow = SecAggPlusWorkflow(1.0, len(values) // 2 + 1, clipping_range=clipping_range)
    identify(run_id=1, node_id=1)
    with _silent():
        begin = process_time()
        workflow(cast(Any, grid), context)
        total = process_time() - begin
    kept = cast(_Keep, context.strategy).kept
    if kept is None:
        raise EngineError("Flower's workflow halted.")
    mean = np.asarray(parameters_to_ndarrays(kept)[0], np.float64)
    stayed = [client for client in values if client not in grid.lost]
    seconds = {client: grid.client_s[client] for client in stayed}
    return Flowered(mean, seconds, {client: grid.sent_bytes[client] for client in stayed}, total - grid.outside_s)


@dataclass
class _Grid:
    """`Grid.send_and_receive` with the clients behind it. outside_s: CPU seconds that are not the server's."""

    values: Mapping[int, NDArray[np.float32]]
    examples: Mapping[int, int]
    lost: frozenset[int]
    client_s: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    sent_bytes: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    contexts: dict[int, Context] = field(default_factory=dict)
    outside_s: float = 0.0
    leg: int = 0

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Replies of those that are not lost; client after client."""
        begin = process_time()
        asked = [one for one in messages if self.leg < MASKED_LEG or one.metadata.dst_node_id not in self.lost]
        replies = [self._answer(message) for message in asked]
        self.leg += 1
        self.outside_s += process_time() - begin
        return replies

    def _answer(self, message: Message) -> Message:
        client = message.metadata.dst_node_id
        context = self.contexts.setdefault(client, Context(0, client, {}, RecordDict(), {}))
        message = from_own_bytes(to_bytes(message))
        begin = process_time()
        reply = secaggplus_mod(message, context, lambda order, _: Message(self._trained(client), reply_to=order))
        self.client_s[client] += process_time() - begin
        self.sent_bytes[client] += size_of(reply)
        return from_own_bytes(to_bytes(reply))

    def _trained(self, client: int) -> RecordDict:
        """The arrays that training left as the records that Flower's wrapper of a NumPy client makes of them."""
        parameters = ndarrays_to_parameters([self.values[client]])
        fitted = FitRes(Status(Code.OK, ""), parameters, self.examples[client], {})
        return compat.fitres_to_recorddict(fitted, keep_input=False)


class _Keep(FedAvg):
    """Asks all clients, with no model to send, and keeps what was aggregated."""

    def __init__(self, clients: tuple[int, ...]) -> None:
        super().__init__()
        self.clients = clients
        self.kept: Parameters | None = None

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: object
    ) -> list[tuple[ClientProxy, FitIns]]:
        """One empty order each."""
        proxies = [cast(ClientProxy, SimpleNamespace(node_id=client)) for client in self.clients]
        return [(proxy, FitIns(Parameters([], "numpy.ndarray"), {})) for proxy in proxies]

    def aggregate_fit(
        self, server_round: int, results: list[tuple[ClientProxy, FitRes]], failures: object
    ) -> tuple[Parameters | None, dict[str, Any]]:
        """All results hold the aggregate already."""
        self.kept = results[0][1].parameters
        return None, {}


@contextmanager
def _silent() -> Iterator[None]:
    logger = logging.getLogger("flwr")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
