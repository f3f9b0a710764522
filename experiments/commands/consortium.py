"""`wardround consortium ...`: at the coordinator, who is a member."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands._terminal import console, say, spoken_errors

cli = typer.Typer(help="At the coordinator: who is a member of the consortium.", no_args_is_help=True)

LONGEST_DAYS = 36500
Folder = Annotated[Path, typer.Option("--folder", help="The coordinator's own folder.")]
Days = Annotated[int, typer.Option(min=1, max=LONGEST_DAYS, help="How long certificates made now are valid.")]
Member = Annotated[str, typer.Argument(help="The hospital's name.")]


@cli.command()
def create(
    name: Annotated[str, typer.Argument(help="The consortium's name.")],
    folder: Folder,
    host: Annotated[list[str], typer.Option(help="Where nodes reach the front; may be given more than once.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="The front's port.")] = 8443,
    days: Annotated[int, typer.Option(min=1, max=LONGEST_DAYS, help="How long its authority is valid.")] = 3650,
    leaf_days: Days = 730,
) -> None:
    """Make a consortium: its authority, the coordinator's identity, the front's certificate."""
    with spoken_errors():
        from experiments.coordinator.consortium import created

        say(created(name, folder, host, port, days, leaf_days))


@cli.command()
def sign(
    requests: Annotated[list[Path], typer.Argument(help="Files that hospitals handed over.")],
    folder: Folder,
    lost_key: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This member lost its keys; take new ones on its word.")
    ] = None,
    days: Days = 730,
) -> None:
    """Answer requests to join, or to rotate keys, with one reply a hospital. Needs the authority's key."""
    with spoken_errors():
        from experiments.coordinator.consortium import signed

        say(signed(requests, folder, lost_key or [], days))


@cli.command()
def revoke(name: Member, folder: Folder) -> None:
    """Shut a member out: its certificate is refused from now on, its keys for good; the list goes on without."""
    with spoken_errors():
        from experiments.coordinator.consortium import removed

        say(removed(name, folder, "revoked", True))


@cli.command()
def leave(name: Member, folder: Folder) -> None:
    """Let a member go: as `revoke`, but with the same keys it may come back."""
    with spoken_errors():
        from experiments.coordinator.consortium import removed

        say(removed(name, folder, "no longer a member", False))


@cli.command()
def renew(
    folder: Folder,
    names: Annotated[list[str] | None, typer.Argument(help="Members.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every member.")] = False,
    front: Annotated[bool, typer.Option("--front", help="The front's certificate too.")] = False,
    days: Days = 730,
) -> None:
    """Make new certificates for the same keys, and a new revocation list; the member list stays as it is."""
    with spoken_errors():
        from experiments.coordinator.consortium import renewed

        say(renewed(folder, names or [], everybody, front, days))


@cli.command("list")
def list_(folder: Folder) -> None:
    """Say who the members are, by their eight groups, and what runs out soon."""
    with spoken_errors():
        from experiments.coordinator.consortium import listed

        say(listed(folder))


@cli.command()
def roster(folder: Folder) -> None:
    """Print the members as [federation] roster, to be put into a study."""
    with spoken_errors():
        from server.consortium.listing import roster_text

        console.print(roster_text(folder), end="", markup=False, highlight=False, soft_wrap=True)
