"""Imported in the process that hospitals' processes are forked from: what they all need is read once, and shared.

It reads what the file named in the environment says, which the engine writes. What goes wrong here goes wrong again
in every hospital, with its name and reason, and is not told twice.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import client.app
import client.process  # noqa: F401 - every hospital needs both
from client.pool import POOL_FILE, warm

if os.environ.get(POOL_FILE):
    with suppress(Exception):
        warm(Path(os.environ[POOL_FILE]).read_text(encoding="utf-8"))
