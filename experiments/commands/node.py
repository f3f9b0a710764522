"""`wardround node ...`: a hospital's own node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands._terminal import say, spoken_errors

cli = typer.Typer(help="A hospital's own node: what runs beside the data.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--folder", help="The hospital's own folder, which holds node.toml.")]


@cli.command()
def enrol(
    name: Annotated[str, typer.Argument(help="The hospital's name, as studies will write it.")],
    folder: Folder,
    coordinator: Annotated[str, typer.Option(help="Where the coordinator's front is, https://host:port.")],
    data_folder: Annotated[str, typer.Option(help="The folder of the hospital's data.")] = "",
    proxy: Annotated[str, typer.Option(help='The way out: http://host:port, or "environment".')] = "",
) -> None:
    """Make this hospital's keys, once, and the one file to hand to the coordinator. Run as the node's own user."""
    with spoken_errors():
        from experiments.hospital.enrolment import enrolled

        say(enrolled(name, folder, coordinator, data_folder, proxy))


@cli.command()
def rotate(folder: Folder) -> None:
    """Make new keys, and a request for them that the present ones sign. These stay in use until the reply comes."""
    with spoken_errors():
        from experiments.hospital.enrolment import rotated

        say(rotated(folder))


@cli.command()
def accept(
    folder: Folder,
    reply: Annotated[Path | None, typer.Argument(help="The file that the coordinator handed over.")] = None,
    compare: Annotated[
        str, typer.Option(metavar="NAME", help='Type the groups that this hospital, or "coordinator", reads out.')
    ] = "",
) -> None:
    """Check the coordinator's reply, and show everybody's eight groups to compare by telephone.

    Call each hospital on a number that you know, have it read out its own groups, and type them with --compare. When
    everybody's are compared, this hospital signs the member list. Without a reply: who is yet to be compared.
    """
    with spoken_errors():
        from experiments.hospital.enrolment import accepted, compared

        if compare and reply is not None:
            raise typer.BadParameter("accept a reply first, and compare then.")
        if not compare:
            say(accepted(folder, reply))
        elif not compared(folder, compare, lambda question: str(typer.prompt(question)), say):
            raise typer.Exit(1)


@cli.command()
def files(
    folder: Folder,
    user: Annotated[str, typer.Option(help="Whom the node runs as; else the owner of the folder.")] = "",
    into: Annotated[Path | None, typer.Option(help="Where to write them; else files/ in the folder.")] = None,
    memory: Annotated[str, typer.Option(help="Most that the node may take, such as 8G.")] = "8G",
) -> None:
    """Write what a machine needs to run the node: a service for systemd, a compose file and a Containerfile.

    They are filled in with the folder, the data that node.toml names, and the GPU where policy.toml names one.
    """
    with spoken_errors():
        from experiments.handover.command import of_a_node

        say(of_a_node(folder, user, into, memory))


@cli.command()
def run(folder: Folder) -> None:
    """Answer the coordinator's requests until SIGTERM, through every crash of either side.

    Meant for a service manager: it logs to standard error, tells systemd that it lives, and its exit status is 143
    after SIGTERM and 78 for what no restart mends, such as a key that the coordinator does not know.
    """
    from experiments.hospital.node_process import run_in

    raise typer.Exit(run_in(folder))
