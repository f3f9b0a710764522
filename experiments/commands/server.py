"""The commands of a coordinator's programs: `wardround server up`, `server front`, `server nginx`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands._terminal import console, say, spoken_errors

cli = typer.Typer(no_args_is_help=True, help="At the coordinator: what hospitals reach.")

Folder = Annotated[Path, typer.Option(help="The coordinator's own folder.")]


@cli.command()
def up(folder: Folder) -> None:
    """Run all of a coordinator's programs and its jobs until Ctrl-C or SIGTERM.

    SuperLink and SuperExec of stock Flower on loopback, and the front before them; whichever ends is started again.
    Jobs come from `wardround submit`, and go on where they were after any crash, this program's own too.

    Exits with 78 where something is not set up, which trying again does not mend.
    """
    with spoken_errors():
        from experiments.coordinator.process import serve

        serve(folder)


@cli.command()
def files(
    folder: Folder,
    user: Annotated[str, typer.Option(help="Whom the programs run as; else the owner of the folder.")] = "",
    into: Annotated[Path | None, typer.Option(help="Where to write them; else files/ in the folder.")] = None,
    memory: Annotated[str, typer.Option(help="Most that all programs may take together, such as 8G.")] = "8G",
) -> None:
    """Write what a machine needs to run the coordinator: a service for systemd, a compose file and a Containerfile.

    They are filled in with the folder and with the front's port in server.toml.
    """
    with spoken_errors():
        from experiments.handover.command import of_a_coordinator

        say(of_a_coordinator(folder, user, into, memory))


@cli.command()
def front(
    folder: Folder,
    port: Annotated[int | None, typer.Option(help="Instead of the one in server.toml; 0: any that is free.")] = None,
    link: Annotated[str, typer.Option(help="Instead of the SuperLink's address in server.toml.")] = "",
) -> None:
    """Let hospitals in: mutual TLS 1.3 before the SuperLink, nine paths of it, and nothing else.

    Its log goes to standard error, one JSON line a request. A changed certificate, CA or revocation list is taken
    without a restart. What it listens on stands in front/listening.json.
    """
    with spoken_errors():
        from experiments.coordinator.front_process import run_front

        run_front(folder, port, link)


@cli.command()
def nginx(
    folder: Folder,
    to: Annotated[Path | None, typer.Option(help="Write it there instead of showing it.")] = None,
) -> None:
    """Write the front as a configuration of nginx, with the same rules; again whenever members change."""
    with spoken_errors():
        from experiments.coordinator.front_process import nginx_text

        text = nginx_text(folder)
        if to is None:
            console.print(text, markup=False, highlight=False, soft_wrap=True, end="")
            return
        from common.files.access import write_to

        write_to(to, text)
