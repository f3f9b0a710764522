"""Pages on this machine alone: a run as it goes, a hospital's node, a coordinator's server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from experiments.commands._terminal import say, spoken_errors

Port = Annotated[int, typer.Option(min=0, max=65535, help="Of 127.0.0.1; 0 takes a free one.")]
Opens = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
ENDED = "The page is no longer served."


def watch(
    folder: Annotated[Path, typer.Argument(help="A run folder, of a run that is under way or over.")],
    port: Port = 0,
    opens: Opens = False,
) -> None:
    """Show a run as a page that lives: hospitals, rounds, scores, bytes, who is late and why.

    The page is served on this machine alone, and reads the run's folder; it changes nothing. Ctrl-C ends it.
    """
    with spoken_errors(ENDED):
        from experiments.pages.moment import Followed
        from experiments.pages.serving import serve
        from experiments.pages.watching import watch_app

        _demand_folder(folder, "name the run folder that `wardround run` printed")
        Followed(folder).moment()  # what is no run folder is said here, and not in a page
        serve(lambda keys, closing: watch_app(folder, keys, closing), port, say, opens)


def node_ui(
    folder: Annotated[Path, typer.Option(help="The hospital's own folder, which holds node.toml.")],
    port: Port = 0,
    opens: Opens = False,
) -> None:
    """In a hospital: studies that wait for approval, what was answered, what it cost, the log, as a page.

    Run it as the node's own user. It is served on this machine alone, to whoever has the link; Ctrl-C ends it.
    """
    with spoken_errors(ENDED):
        from experiments.pages.hospital.node_app import node_app
        from experiments.pages.serving import serve

        _demand_folder(folder, "it is the one that the hospital's node is set up with")
        serve(lambda keys, closing: node_app(folder, keys, closing), port, say, opens)


def server_ui(
    folder: Annotated[Path, typer.Option(help="The coordinator's own folder.")],
    port: Port = 0,
    opens: Opens = False,
) -> None:
    """At the coordinator: the run as it goes, jobs, nodes, programs and certificates, as a page.

    It is served on this machine alone, to whoever has the link; Ctrl-C ends it.
    """
    with spoken_errors(ENDED):
        from experiments.coordinator.settings import demand_coordinator
        from experiments.pages.coordinator.server_app import server_app
        from experiments.pages.serving import serve

        demand_coordinator(folder)
        serve(lambda keys, closing: server_app(folder, keys, closing), port, say, opens)


def _demand_folder(folder: Path, what: str) -> None:
    if not folder.is_dir():
        raise StudyError(f"there is no folder {folder}: {what}.")
