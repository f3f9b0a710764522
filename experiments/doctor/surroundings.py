"""Versions, room on the disk, and who else may read a folder."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import stat
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from common.study.program import this_program
from experiments.doctor.finding import Finding, fail, ok, warn

FLOWER = "1.41."
LEAST_BYTES, FEW_BYTES = 256 << 20, 2 << 30
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def versions() -> Iterator[Finding]:
    """Of what this is, and of what it stands on."""
    program = this_program()
    yield ok("program", program.sentence)
    yield ok("python", f"{platform.python_version()} on {platform.system()} {platform.release()}")
    flower = version("flwr")
    if flower.startswith(FLOWER):
        yield ok("flower", flower)
    else:
        yield fail("flower", f"{flower}; this program is made for {FLOWER}x", "pip install 'flwr>=1.41,<1.42'")
    if ssl.HAS_TLSv1_3 and ssl.OPENSSL_VERSION_INFO >= (3,):
        yield ok("openssl", ssl.OPENSSL_VERSION)
    else:
        yield fail("openssl", f"{ssl.OPENSSL_VERSION}; TLS 1.3 of OpenSSL 3 is needed", "install a newer Python")


def disk(folder: Path) -> Finding:
    """Whether there is room to write what must not be lost."""
    free = shutil.disk_usage(folder).free
    said = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free < LEAST_BYTES:
        return fail("disk", said, "Free some: what must survive a crash can soon not be written any more.")
    if free < FEW_BYTES:
        return warn("disk", said, "Free some before it runs out in the middle of a study.")
    return ok("disk", said)


def permissions(folder: Path, secrets: Iterable[str]) -> Iterator[Finding]:
    """Whether anybody else of this machine may read the folder or what must stay secret, or owns it."""
    wrong = [name for name in secrets if _open_to_others(folder / name)]
    for name in wrong:
        yield fail("permissions", f"{name} may be read by others of this machine", f"chmod 600 '{folder / name}'")
    if _open_to_others(folder):
        yield warn("permissions", f"{folder} may be entered by others of this machine", f"chmod 700 '{folder}'")
    elif not wrong:
        yield ok("permissions", "the folder and its keys are for their owner alone")
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        remedy = "Run this, and the program, as the folder's owner: what another user writes there it cannot read."
        yield warn("owner", f"the folder belongs to user {owner}, and this is user {os.geteuid()}", remedy)


def _open_to_others(path: Path) -> bool:
    try:
        return bool(path.lstat().st_mode & OTHERS)
    except OSError:
        return False
