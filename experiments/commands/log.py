"""A hospital's log: what it was asked and answered, and whether that is as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands._terminal import say, spoken_errors

cli = typer.Typer(help="A hospital's log of what it was asked, answered and refused.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--folder", help="The hospital's own folder.")]


@cli.command("show")
def show(folder: Folder, last: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = 50) -> None:
    """Print the last lines in words, and whether the whole log is as it was written; exits 1 where it is not."""
    with spoken_errors():
        from experiments.hospital.log import checked, shown

        say(shown(folder, last))
        _end(*checked(folder))


@cli.command("verify")
def verify(
    folder: Folder,
    until: Annotated[str, typer.Option(help="A hash that was written down: is its line still there?")] = "",
    signed: Annotated[Path | None, typer.Option(help="A statement that `wardround log sign` wrote.")] = None,
) -> None:
    """Say whether the log is as it was written, and which line is the first that is not; exits 1 then.

    Not noticed without a hash or a statement from elsewhere: a whole chain written anew, or an older copy put back.
    """
    with spoken_errors():
        from experiments.hospital.log import checked

        _end(*checked(folder, until, signed))


@cli.command("sign")
def sign(
    folder: Folder, out: Annotated[Path, typer.Option(help="Write the signed statement into this file.")]
) -> None:
    """Sign how far the log has come with the hospital's own key: evidence to give to somebody."""
    with spoken_errors():
        import json

        from client.log_signature import signed_head
        from common.files.access import demand_writable, write_to

        demand_writable(out)
        statement = signed_head(folder)
        write_to(out, json.dumps(statement, indent=1) + "\n")
        say([f"Signed line {statement['count']:,}, hash {statement['last']}, in {out}."])


def _end(whole: bool, said: list[str]) -> None:
    say(said)
    if not whole:
        raise typer.Exit(1)
