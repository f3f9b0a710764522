"""The page on paper: printed by a Chromium without a window, where one is installed, with everything unfolded."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from common.errors import EngineError, StudyError
from common.files.access import read, write

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
LONGEST_S = 600
LARGEST_PDF_BYTES = 1 << 28
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
)


def browser() -> str | None:
    """The first of the browsers that print which is installed."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def demand_browser() -> str:
    """The one that prints. Raises StudyError where there is none: asked before the attacks, not after them."""
    program = browser()
    if program is None:
        raise StudyError(
            f"a PDF needs a Chromium: none of {', '.join(BROWSERS)} is installed. Without --pdf the page is written, "
            "and any browser prints it."
        )
    return program


def pdf_of(page: str) -> bytes:
    """The page as a PDF of A4. Raises StudyError where no such browser is installed, EngineError where it fails."""
    program = demand_browser()
    with TemporaryDirectory() as name:
        folder = Path(name)
        source = write(folder, "audit.html", unfolded(page))
        # Chromium has no sandbox for root; the page is our own, and its policy allows no script but ours, no network.
        flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*FLAGS]
        places = [f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={folder / 'audit.pdf'}"]
        _run([program, *flags, *places, source.as_uri()])
        return read(folder, "audit.pdf", LARGEST_PDF_BYTES)


def unfolded(page: str) -> str:
    """With everything open that a reader would open."""
    return page.replace("<details>", "<details open>")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=LONGEST_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{command[0]} did not print the page: {type(error).__name__}.") from error
    if done.returncode:
        raise EngineError(f"{command[0]} did not print the page: it ended with {done.returncode}.")
