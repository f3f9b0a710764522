"""What systemd is told of a service of Type=notify: plain datagrams, nothing where nobody listens (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

BEAT_S = 10.0


def notify(*lines: str) -> None:
    """Tell systemd, for example "READY=1"."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
        channel.sendall("\n".join(lines).encode())


class Watchdog:
    """Says that the service lives for as long as it does, from a thread that waits for no network and no answer."""

    def __init__(self, lives: Callable[[], bool]) -> None:
        self._lives, self._stop = lives, Event()
        self._thread = Thread(target=self._beat, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _beat(self) -> None:
        while not self._stop.wait(_beat_s()):
            if self._lives():
                notify("WATCHDOG=1")


def _beat_s() -> float:
    """A third of the service's WatchdogSec, or less."""
    told_us = os.environ.get("WATCHDOG_USEC", "")
    return min(BEAT_S, int(told_us) / 3e6) if told_us.isdecimal() and int(told_us) else BEAT_S
