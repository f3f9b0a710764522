"""The command that runs, on anybody's file, the tests that entries of its kind inherit."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from common.errors import StudyError
from experiments.commands._terminal import spoken_errors


def try_file(
    file: Annotated[str, typer.Argument(help="A Python file, or FILE:NAME for a class of it.")],
    kind: Annotated[
        str | None, typer.Option(help="Test only this kind: task, network, source, strategy, ...")
    ] = None,
) -> None:
    """Run every inherited test on a file of your own, and say which law it breaks and how to mend it.

    The file binds what it holds to its kind's word, `task = Mine`; makers of tiny data may stand beside it. To test a
    file is to run it: read a stranger's first. Exits with 1 where a law is broken.
    """
    with spoken_errors():
        if find_spec("pytest") is None:
            raise StudyError("`wardround test` needs pytest: pip install 'wardround[testing]'.")
        command = [sys.executable, "-m", "wardround.testing", file, *(["--kind", kind] if kind else [])]
        # In a process of its own: whatever the file does, it does not do here.
        done = subprocess.run(command, env={"OMP_NUM_THREADS": "1", **os.environ}, check=False)
    if done.returncode:
        raise typer.Exit(1)
