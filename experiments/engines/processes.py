"""One real, warm process a hospital, started once, talking gRPC on loopback: the default."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from secrets import token_hex
from threading import RLock
from time import monotonic
from typing import Any

import grpc
from flwr.serverapp import ServerApp

from client import process
from common.allocator import give_back_freed_memory
from common.data.cases import SiteId
from common.errors import EngineError, WireError
from common.learning.device import chosen
from common.wire.long_form import Buffer
from common.wire.pieces import LARGEST_MESSAGE_BYTES, Gathering, in_pieces, is_piece
from experiments.engine import Engine, RunConfig, quieten, usable_cores
from experiments.engines._clean_start import without_main
from experiments.engines._fork_server import fork_context
from experiments.engines._interrupt import held_back
from experiments.engines._local_grid import Poll, Unreachable
from experiments.engines._local_run import LocalRun
from experiments.engines._turns import Turn, Turns
from server.app import read_study

SLOT_LEASE_S = 20.0
"""A request older than this no longer counts as busy, so that hospitals that hang cannot starve the others."""


@dataclass(frozen=True)
class Processes:
    """at_once: hospitals that work at the same time; 0: as many as there are cores.

    start_timeout_s: for all of them to come up, on a busy machine; one that dies is noticed at once.
    """

    at_once: int = 0
    start_timeout_s: float = 600.0

    def run(
        self,
        *,
        server_app: ServerApp,
        client_app: str,
        sites: Sequence[SiteId],
        run_config: RunConfig,
        folder: Path,
        record_traffic: bool = False,
    ) -> None:
        """Start one process a hospital, run, and end them all."""
        quieten()
        chosen()  # says, before processes start, where there is no such device
        at_once = self.at_once or usable_cores()
        local = LocalRun.new("processes", sites, folder, record_traffic, at_once)
        study, _ = read_study(str(run_config["study"]))
        context = fork_context(study, folder)
        with _hospitals(context, local, client_app, self.start_timeout_s) as hospitals:
            local.serve(server_app, _Visits(hospitals, at_once), run_config)


@dataclass
class _Hospital:
    """A process, and the channel to it once it listens."""

    process: BaseProcess
    pipe: Connection
    token: str
    channel: grpc.Channel | None = None
    visit: Any = None

    def connect(self, deadline: float) -> None:
        """Wait for the port. A process that does not come up is left out; the first leg will name it."""
        try:
            if not self.pipe.poll(max(0.0, deadline - monotonic())):
                return
            port = int(self.pipe.recv())
        except (EOFError, OSError):
            return
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=process.GRPC_OPTIONS)
        self.visit = self.channel.unary_unary(process.METHOD)

    def fate(self) -> str:
        """Why it does not answer, in words."""
        self.process.join(10.0)
        code = self.process.exitcode
        if code is None:
            return "its process could not be reached"
        if code < 0:
            return f"its process ended (signal {-code}, {signal.Signals(-code).name})"
        return f"its process ended (exit status {code})"


@contextmanager
def _hospitals(
    context: Any, local: LocalRun, client_app: str, start_timeout_s: float
) -> Iterator[dict[int, _Hospital]]:
    started: dict[int, _Hospital] = {}
    try:
        for index in range(len(local.sites)):
            started[local.node_id(index)] = _start(context, local, index, client_app)
        deadline = monotonic() + start_timeout_s
        for hospital in started.values():
            hospital.connect(deadline)
        if all(hospital.channel is None for hospital in started.values()):
            raise EngineError(f"no hospital's process came up; the logs in {local.folder / 'hospitals'} say why.")
        yield started
    finally:
        with held_back():
            _end(list(started.values()))


def _start(context: Any, local: LocalRun, index: int, client_app: str) -> _Hospital:
    ours, theirs = context.Pipe(duplex=False)
    token = token_hex(32)
    start = process.Start(
        client_app,
        local.node_id(index),
        local.run_id,
        local.config(index),
        str(local.folder_of(index)),
        tuple(sys.path),
        token,
    )
    child = context.Process(target=process.main, args=(start, theirs), name=local.sites[index], daemon=True)
    with without_main():
        child.start()
    theirs.close()
    return _Hospital(child, ours, token)


def _end(hospitals: list[_Hospital]) -> None:
    """Ask, then force; a stopped process does not hear the first."""
    for hospital in hospitals:
        if hospital.channel is not None:
            hospital.channel.close()
        hospital.process.terminate()
    deadline = monotonic() + 2.0
    for hospital in hospitals:
        hospital.process.join(max(0.0, deadline - monotonic()))
        if hospital.process.is_alive():
            hospital.process.kill()
            hospital.process.join(5.0)
        hospital.pipe.close()


@dataclass
class _Visit:
    """One request on its way, and its reply: a call a piece of each.

    since: when it began; 0 while it waits for a core. failure: what ended it without a reply.
    """

    hospital: _Hospital
    request: Sequence[Buffer]
    coming: Gathering
    turns: Turns
    turn: Turn | None = None
    since: float = 0.0
    reply: Buffer | None = None
    failure: Exception | None = None

    def begin(self, and_then: Callable[[], None]) -> None:
        """Send it, and call `and_then`, from a thread of gRPC's, when the reply is there.

        There is no deadline here: whoever asks for the reply has one, and late replies free the node.
        """
        self.since = monotonic()
        pieces, self.request = in_pieces(self.request), ()
        self._call(next(pieces), pieces, and_then)

    def _call(self, piece: bytes, left: Iterator[bytes], and_then: Callable[[], None]) -> None:
        metadata = ((process.TOKEN_HEADER, self.hospital.token),)
        with suppress(ValueError):  # the channel is closed: the run is over
            call = self.hospital.visit.future(piece, metadata=metadata, wait_for_ready=False)
            call.add_done_callback(lambda ended: self._go_on(ended, left, and_then))

    def _go_on(self, ended: Any, left: Iterator[bytes], and_then: Callable[[], None]) -> None:
        try:
            came = ended.result()
            following = next(left, None)
            if following is None and is_piece(came):
                whole = self.coming.take(came)
                if whole is None:
                    self._ask_for_more(left, and_then)
                    return
                came = whole
        except Exception as error:  # noqa: BLE001 - told to whoever asks for the reply
            self.failure = error
            self.let_go()
            and_then()
            return
        if following is not None:
            self._call(following, left, and_then)
            return
        self.reply = came
        and_then()

    def _ask_for_more(self, left: Iterator[bytes], and_then: Callable[[], None]) -> None:
        """The next piece of the reply: of the first ones only once nobody else's are under way."""
        if self.turn is None:
            self.turn = Turn()
            self.turns.ask(self.turn, lambda: self._call(b"", left, and_then))
            return
        self.turn.go_on()
        self._call(b"", left, and_then)

    def let_go(self) -> None:
        """There is no reply: the next one may come."""
        if self.turn is not None:
            self.turn.is_done = True

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.reply is not None or self.failure is not None

    def holds_a_core(self) -> bool:
        """Whether it counts as busy."""
        return self.since > 0 and not self.is_over and monotonic() - self.since < SLOT_LEASE_S


@dataclass
class _Visits:
    """Carries requests by gRPC, as many at a time as there are cores; a core that falls free is filled at once."""

    hospitals: dict[int, _Hospital]
    at_once: int
    largest_reply_bytes: int = LARGEST_MESSAGE_BYTES
    _waiting: deque[_Visit] = field(default_factory=deque)
    _begun: list[_Visit] = field(default_factory=list)
    _lock: RLock = field(default_factory=RLock)
    _turns: Turns = field(default_factory=Turns)
    _taken: Turn | None = None

    def send(self, node_id: int, request: Sequence[Buffer]) -> Poll:
        visit = _Visit(self.hospitals[node_id], request, Gathering(self.largest_reply_bytes), self._turns)
        if visit.hospital.visit is not None:
            with self._lock:
                self._waiting.append(visit)
            self._begin_some()
        return lambda: self._poll(visit)

    def _begin_some(self) -> None:
        with held_back(), self._lock:
            self._begun = [visit for visit in self._begun if visit.holds_a_core()]
            while self._waiting and len(self._begun) < self.at_once:
                visit = self._waiting.popleft()
                self._begun.append(visit)
                visit.begin(self._begin_some)

    def _poll(self, visit: _Visit) -> Buffer | None:
        if self._taken is not None:  # whoever asks again is done with what they had
            self._taken.is_done, self._taken = True, None
        with held_back():  # a piece may be asked for here
            self._turns.look()
        self._begin_some()
        if visit.hospital.visit is None:
            raise Unreachable(visit.hospital.fate())
        if not visit.is_over:
            return None
        if isinstance(visit.failure, grpc.RpcError):
            raise Unreachable(self._reason(visit, visit.failure))
        if visit.failure is not None:
            why = f": {visit.failure}" if isinstance(visit.failure, WireError) else ""
            raise Unreachable(f"its reply could not be read{why}")
        if visit.turn is not None:
            give_back_freed_memory()  # of the pieces, in as many heaps as gRPC has threads
            visit.turn.is_taken()
            self._taken = visit.turn
        reply, visit.reply = visit.reply, b""  # whoever asked has it now, and nobody else
        return reply

    def _reason(self, visit: _Visit, error: grpc.RpcError) -> str:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return visit.hospital.fate()
        return f"its process refused the request ({error.code().name})"


engine: type[Engine] = Processes
