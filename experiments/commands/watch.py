"""A run as a page that lives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from experiments.commands._terminal import say, spoken_errors

Port = Annotated[int, typer.Option(min=0, max=65535, help="Of 127.0.0.1; 0 takes a free one.")]
Opens = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]


def watch(
    folder: Annotated[Path, typer.Argument(help="A run folder, of a run that is under way or over.")],
    port: Port = 0,
    opens: Opens = False,
) -> None:
    """Show a run as a page that lives: hospitals, rounds, scores, bytes, who is late and why.

    The page is served on this machine alone, and reads the run's folder; it changes nothing. Ctrl-C ends it.
    """
    with spoken_errors("The page is no longer served."):
        from experiments.pages.moment import Followed
        from experiments.pages.serving import serve
        from experiments.pages.watching import watch_app

        if not folder.is_dir():
            raise StudyError(f"there is no folder {folder}: name the run folder that `wardround run` printed.")
        Followed(folder).moment()  # what is no run folder is said here, and not in a page
        serve(lambda keys, closing: watch_app(folder, keys, closing), port, say, opens)
