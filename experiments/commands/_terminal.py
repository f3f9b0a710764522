"""What every command says and how it ends: two consoles, errors in one line, signals as exit codes."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import typer
from rich.console import Console

from common.errors import WardroundError
from common.extras import needed_by
from experiments.terminal_letters import writable
from server.reporting.markup import visible

SIGNALLED = 128
"""And the number of the signal: what shells say of a program that one has ended."""

console = Console()
complaints = Console(stderr=True)


INTERRUPTED = "Interrupted; every process was ended, and the run folder can be used and resumed."
DOUBTFUL = 4
"""Exit code of a search for a transform or an outline that has probably failed, other than that of an error."""


@contextmanager
def spoken_errors(interrupted: str = INTERRUPTED) -> Iterator[None]:
    """Say an expected error in one line, and exit with 1; a traceback is for defects only.

    interrupted: what is said after Ctrl-C.
    """
    from experiments.engines._interrupt import interrupting_signals

    try:
        with interrupting_signals(), needed_by("this command"):
            yield
    except WardroundError as error:
        complaints.print(f"[bold red]{type(error).__name__.removesuffix('Error')}:[/] ", end="")
        complaints.print(visible(str(error)), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt as error:
        with suppress(OSError):  # its terminal may be gone
            complaints.print(interrupted)
        raise typer.Exit(SIGNALLED + getattr(error, "number", signal.SIGINT)) from None


def say(lines: Iterable[str]) -> None:
    """Print lines whole, with what the terminal cannot show replaced."""
    for line in lines:
        console.print(writable(visible(line), console.encoding), markup=False, highlight=False, soft_wrap=True)
