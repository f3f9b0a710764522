"""The way between a hospital and its coordinator, as a CONNECT proxy that can be cut or slowed while a study runs.

A cut loses what is on its way and tells nobody, as a cable that is pulled: connections stay open and nothing comes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from time import sleep

PIECE_BYTES = 1 << 12
LONGEST_HEAD_BYTES = 1 << 13
STEP_S = 0.5


@dataclass
class Way:
    """delay_s: of every piece of 4 KiB, in both directions."""

    listening: socket.socket
    delay_s: float = 0.0
    _whole: Event = field(default_factory=Event)
    _ended: Event = field(default_factory=Event)

    @property
    def address(self) -> str:
        """For node.toml's `proxy`."""
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def cut(self) -> None:
        """From now on nothing passes, and nothing is said."""
        self._whole.clear()

    def mend(self) -> None:
        """New connections pass; those of before the cut are dead."""
        self._whole.set()

    def serve(self) -> None:
        """Until the socket is closed."""
        while True:
            try:
                near, _ = self.listening.accept()
            except OSError:
                return
            Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, suppress(OSError, ValueError):
            self._wait_for_way()
            near.settimeout(30)
            host, _, port = _head(near).split()[1].decode("ascii").rpartition(":")
            with socket.create_connection((host, int(port)), 30) as far:
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for one in (near, far):
                    one.settimeout(None)
                back = Thread(target=self._carry, args=(far, near), daemon=True)
                back.start()
                self._carry(near, far)
                back.join()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                if not self._whole.is_set():
                    self._ended.wait()  # what was under way at the cut never arrives
                    break
                sleep(self.delay_s)
                target.sendall(piece)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _wait_for_way(self) -> None:
        while not self._whole.wait(STEP_S):
            if self._ended.is_set():
                raise OSError("ended")

    def end(self) -> None:
        """Close everything."""
        self._ended.set()
        self._whole.set()
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


@contextmanager
def open_way() -> Iterator[Way]:
    """A way that is whole, at a free port of this machine."""
    way = Way(socket.create_server(("127.0.0.1", 0)))
    way.mend()
    Thread(target=way.serve, name="way", daemon=True).start()
    try:
        yield way
    finally:
        way.end()


def _head(near: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = near.recv(1)
        if not byte or len(head) > LONGEST_HEAD_BYTES:
            raise ValueError("no head")
        head += byte
    return head
