"""One node as a process: its folder held, its signals heard, systemd told, and an end that says why."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from types import FrameType

from client.audit_log import note
from client.fleet.answering import Answers
from client.fleet.connection import LONGEST_CALL_S, Connection, connect
from client.fleet.inbox import Inbox
from client.fleet.loop import PATIENCE_S, Loop
from client.fleet.notify import Watchdog, notify
from client.fleet.outbox import Outbox
from client.fleet.presence import Heartbeat, Presence
from client.node import LARGEST_MESSAGE, Config, largest_message_bytes, load_app
from client.node_settings import NodeSettings, read_settings
from client.pool import ONE_HOSPITAL
from client.protocol_context import REHEARSAL
from common.allocator import keep_freed_memory
from common.errors import FileError, HospitalError
from common.files.access import keep_private
from common.files.locks import held

APP = "client.app:app"
LOCK = ".node.lock"
GRACE_S = 20.0
"""How long an answer under way may take after SIGTERM; then it is given up, and made again at the next start."""
STUCK_S = LONGEST_CALL_S + 300.0
"""A loop that has not turned for longer is no slow line: the watchdog may end the process."""
TERMINATED = 143
LOG = logging.getLogger("wardround.node")


@dataclass(frozen=True)
class Options:
    """For tests: exit after so many seconds without a message; when a refusal is believed; told before every step."""

    idle_exit_s: float = 0.0
    patience_s: float = PATIENCE_S
    step: Callable[[str], None] = lambda name: None


def run_node(folder: Path, options: Options = Options()) -> int:
    """Serve the hospital whose folder that is until SIGTERM; the exit status.

    Raises HospitalError or StudyError for a folder that is not set up, FileError where another node runs in it, and
    RefusedForGoodError where the coordinator refuses it for good.
    """
    settings = read_settings(folder)
    return serve(folder, node_config(settings, folder), lambda: connect(settings, folder), options)


def node_config(settings: NodeSettings, folder: Path) -> Config:
    """What the hospital's program is told of itself."""
    config: dict[str, str | bool | int] = {"site": settings.site, "folder": str(folder)}
    if settings.data_folder:
        config["data-folder"] = str(folder / settings.data_folder)
    if settings.rehearsal:
        config[REHEARSAL] = True
    if settings.largest_message_bytes:
        config[LARGEST_MESSAGE] = settings.largest_message_bytes
    return config


def serve(folder: Path, config: Config, connecting: Callable[[], Connection], options: Options) -> int:
    """As `run_node`, over any connection."""
    keep_private()
    keep_freed_memory()
    os.environ[ONE_HOSPITAL] = "1"
    with held(folder, LOCK, "is in use: another node runs in it"):
        connection = connecting()
        stop = Event()
        outbox = Outbox(folder)
        presence = Presence(connection, folder)
        app = load_app(APP)
        loop = Loop(
            connection,
            presence,
            Inbox(folder),
            outbox,
            lambda node_id: Answers(app, node_id, config, outbox, folder, lambda: connection.identity.ahead_s),
            stop,
            options.patience_s,
            options.step,
            options.idle_exit_s,
            largest_message_bytes=largest_message_bytes(config),
        )
        terminated = _hear_signals(loop, stop)
        notify("READY=1", "STATUS=asking for messages")
        try:
            with Watchdog(partial(_lives, loop)), Heartbeat(presence):
                loop.run()
        finally:
            notify("STOPPING=1")
            with suppress(HospitalError):
                note(folder, "node ended")
        if not any(True for _ in Inbox(folder).waiting()):
            presence.leave()
        connection.calls.close()
        return TERMINATED if terminated.is_set() else 0


def _lives(loop: Loop) -> bool:
    """While the loop turns, or an answer is under way, however long it trains."""
    return loop.in_hand is not None or monotonic() - loop.seen < STUCK_S


def _hear_signals(loop: Loop, stop: Event) -> Event:
    """End after the message in hand, or when the grace is over."""
    terminated = Event()

    def hear(number: int, _: FrameType | None) -> None:
        if terminated.is_set():
            return
        terminated.set()
        LOG.info("%s: the node ends%s", signal.Signals(number).name, " after its answer" if loop.in_hand else "")
        stop.set()
        Thread(target=_end_late, args=(loop,), daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    return terminated


def _end_late(loop: Loop) -> None:
    """The answer under way is given up: its request stays in the inbox, and this try does not count."""
    Event().wait(GRACE_S)
    entry = loop.in_hand
    if entry is not None:
        with suppress(FileError):
            loop.inbox.give_up(entry)
    LOG.info("the answer under way is given up; it is made again at the next start")
    sys.stderr.flush()
    os._exit(TERMINATED)
