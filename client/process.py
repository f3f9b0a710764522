"""One hospital as a process of its own: a warm ClientApp behind gRPC on loopback."""

from __future__ import annotations

import ctypes
import hmac
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

import grpc

from client.node import Config, Node, load_app
from client.pool import ONE_HOSPITAL
from common.allocator import give_back_freed_memory, keep_freed_memory
from common.errors import WireError
from common.files.access import appending, keep_private
from common.wire.long_form import Buffer
from common.wire.pieces import LARGEST_PIECE_BYTES, Gathering, in_pieces, is_piece

METHOD = "/wardround.Hospital/Visit"
TOKEN_HEADER = "wardround-token"
GRPC_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_PIECE_BYTES),
    ("grpc.max_send_message_length", LARGEST_PIECE_BYTES),
    ("grpc.so_reuseport", 0),
    ("grpc.enable_http_proxy", 0),
)
"""Of both ends. A proxy in the environment is for the way out: it is never asked for the way to 127.0.0.1."""
PR_SET_PDEATHSIG = 1
LOG = logging.getLogger("wardround.hospital")


@dataclass(frozen=True)
class Start:
    """What a hospital's process is told when it starts. token: known only to the engine that started it."""

    app: str
    node_id: int
    run_id: int
    config: Config
    folder: str
    search_path: tuple[str, ...]
    token: str = field(repr=False)


def main(start: Start, pipe: Connection) -> None:
    """Serve until ended. Sends the port through `pipe` once it listens."""
    _live_no_longer_than_the_engine()
    keep_freed_memory()
    keep_private()
    _keep_output(Path(start.folder))
    os.environ[ONE_HOSPITAL] = "1"
    sys.path[:0] = [path for path in start.search_path if path not in sys.path]
    node = Node(load_app(start.app), start.node_id, start.run_id, {**start.config, "folder": start.folder})
    server = grpc.server(ThreadPoolExecutor(max_workers=1), options=GRPC_OPTIONS)
    server.add_generic_rpc_handlers((_Visits(node, start.token),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    pipe.send(port)
    pipe.close()
    server.wait_for_termination()


class _Visits(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The one method of a hospital: a message in, a message out.

    A large one comes by one call a piece, each but the last answered by nothing, and goes by one call a piece too,
    the others being asked for with nothing in the call.
    """

    def __init__(self, node: Node, token: str) -> None:
        self._node, self._token = node, token
        self._coming: Gathering | None = None
        self._going: Iterator[bytes] = iter(())
        self._next: bytes | None = None

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler, for our method only."""
        return grpc.unary_unary_rpc_method_handler(self._visit) if details.method == METHOD else None

    def _visit(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer, or refuse in words that tell nothing: gRPC would send an exception's text to the other side."""
        given = dict(context.invocation_metadata()).get(TOKEN_HEADER, "")
        if not hmac.compare_digest(str(given).encode(), self._token.encode()):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "not for you")
        try:
            return self._taken(request)
        except Exception:
            LOG.exception("a request could not be answered")
            give_back_freed_memory()
        context.abort(grpc.StatusCode.INTERNAL, "the hospital's own log says what happened")
        raise AssertionError

    def _taken(self, request: bytes) -> bytes:
        if not request:
            return self._piece()
        whole = self._gathered(request) if is_piece(request) else request
        if whole is None:
            return b""
        self._coming, self._going, self._next = None, iter(()), None
        self._going = in_pieces(self._node.answer_in_parts(whole))
        del whole
        self._next = next(self._going)
        if is_piece(self._next):  # the others may be asked for much later
            give_back_freed_memory()
        return self._piece()

    def _piece(self) -> bytes:
        """The next of the reply. Memory goes back with the last: with each it would be taken anew for the next."""
        piece, self._next = self._next, next(self._going, None)
        if piece is None:
            raise WireError("a piece was asked for where none is left.")
        if self._next is None:
            give_back_freed_memory()
        return piece

    def _gathered(self, piece: bytes) -> Buffer | None:
        self._coming = self._coming or Gathering(self._node.largest_message_bytes)
        try:
            return self._coming.take(piece)
        except WireError:
            self._coming = None
            raise


def _live_no_longer_than_the_engine() -> None:
    """End with the engine, also when it is killed; leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _keep_output(folder: Path) -> None:
    """All this process prints goes to the hospital's own log."""
    sys.stdout.flush()
    sys.stderr.flush()
    with appending(folder, "output.log") as log:
        os.dup2(log, 1)
        os.dup2(log, 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
