"""The command that runs, on anybody's file, the tests that entries of its kind inherit."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from experiments.commands._terminal import spoken_errors

ROOT = Path(__file__).parents[2]
TRIED = (
    "import sys; root = sys.argv.pop(1); sys.path += [root] * (root not in sys.path); "
    "from wardround.testing.__main__ import main; sys.exit(main(sys.argv[1:]))"
)


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
        command = [sys.executable, "-P", "-c", TRIED, str(ROOT), file, *(["--kind", kind] if kind else [])]
        # In a process of its own: whatever the file does, it does not do here. -P: what else lies in the folder that
        # one works in, a numbers.py, is not taken for Python's own.
        done = subprocess.run(command, env={"OMP_NUM_THREADS": "1", **os.environ}, check=False)
    if done.returncode:
        raise typer.Exit(1)
