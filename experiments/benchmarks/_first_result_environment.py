"""A fresh environment with the program in it, and commands typed there by somebody who has nothing else."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from common.errors import EngineError

CHECKOUT = Path(__file__).parents[2]
LONGEST_INSTALLATION_S, LONGEST_COMMAND_S = 3600, 900
KEPT = ("LANG", "LC_ALL", "TMPDIR", "OMP_NUM_THREADS")
"""Of our own surroundings; HOME, PATH and all else are the user's."""


@dataclass(frozen=True)
class Done:
    """How a command ended. last_words: the end of what it said."""

    code: int
    seconds: float
    last_words: str


@dataclass(frozen=True)
class Environment:
    """folder: of the virtual environment. seconds: of its installation; None where it was there."""

    folder: Path
    seconds: float | None

    def run(self, command: str, working: Path, home: Path) -> Done:
        """Type a command in the folder `working`."""
        surroundings = {name: os.environ[name] for name in KEPT if name in os.environ}
        surroundings |= {"HOME": str(home), "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.defpath}"}
        program, *words = shlex.split(command)
        before = monotonic()
        try:
            done = subprocess.run(
                [self.folder / "bin" / program, *words],
                cwd=working,
                env=surroundings,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=LONGEST_COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Done(-1, monotonic() - before, f"it was not done after {LONGEST_COMMAND_S} s")
        said = " ".join((done.stderr or done.stdout).split())
        return Done(done.returncode, monotonic() - before, said[-400:])


def installed(folder: Path) -> Environment:
    """The environment, made by the target of the Makefile that `make demo` begins with, unless it is there.

    Raises EngineError where this is no checkout, or the installation failed.
    """
    folder, stamp = folder.absolute(), folder.absolute() / "installed-demo"
    if (folder / "bin" / "wardround").exists():
        return Environment(folder, None)
    if not (CHECKOUT / "Makefile").is_file():
        raise EngineError(f"{CHECKOUT} holds no Makefile: this benchmark installs from a checkout.")
    command = ["make", "--directory", str(CHECKOUT), f"VENV={folder}", str(stamp)]
    before = monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_INSTALLATION_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"the installation could not be done: {error}") from error
    if done.returncode:
        raise EngineError(f"the installation failed: {' '.join(done.stderr.split())[-800:]}")
    return Environment(folder, monotonic() - before)
