"""The process that hospitals' processes are forked from: it has imported everything, and read what they share."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from multiprocessing import forkserver, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.files.access import write
from experiments.engine import quieten

if TYPE_CHECKING:
    from common.study.study import Study

PRELOADED = ["torch", "grpc", "client.warm"]
"""Imported once, so that many hospitals cost one import; none of it starts a thread."""
FILE = ".pool.json"


def fork_context(study: Study, folder: Path) -> Any:
    """The context in which hospitals' processes start; by spawning where the system cannot fork from a server.

    A server that a run before has left, which holds another pool, is ended: it would keep what nobody asks for. So is
    one that was started with other settings in its environment, or by somebody else: hospitals would have those.
    """
    from client.pool import POOL_FILE

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    pool = _pool_of(study)
    os.environ.pop(POOL_FILE, None)
    settings = _settings()
    if (pool, settings) != (_Held.pool, _Held.settings):
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
    _Held.pool, _Held.settings = pool, settings
    if pool:
        os.environ[POOL_FILE] = str(write(folder, FILE, pool).absolute())
    return _context()


def _pool_of(study: Study) -> str:
    """What the server reads once for all hospitals; empty: each reads its own."""
    from client.pool import key_of

    return "" if study.partition is None else key_of(json.loads(study.json))


def begin_early() -> None:
    """Start the server of a study that has no pool while this process still imports what takes as long."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        quieten()
        _Held.settings = _settings()
        _context()
        forkserver.ensure_running()


def end() -> None:
    """End the server at once, whatever it is importing: no run will need it."""
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        forkserver._forkserver._stop()  # type: ignore[attr-defined]


def _context() -> Any:
    # Python 3.11.0 lets any user of the machine connect to an abstract socket, and run code by it.
    util.abstract_sockets_supported = False  # type: ignore[misc]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def forget_pool() -> None:
    """Let the next run read its pool again: its files may have changed."""
    if _Held.pool:
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
        _Held.pool = ""


def _settings() -> dict[str, str]:
    """What the environment says to this program; `fork_context` writes there afterwards."""
    return {name: said for name, said in os.environ.items() if name.startswith("WARDROUND_")}


class _Held:
    """What the running fork server has read, and the settings that it was started with; None: nobody knows."""

    pool = ""
    settings: dict[str, str] | None = None
