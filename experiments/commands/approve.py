"""In a hospital: agree to a study, look at those that wait, take a yes back, or say no."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from experiments.commands._study_text import is_file_name, read_study
from experiments.commands._terminal import console, say, spoken_errors


def approve(
    study: Annotated[
        str | None,
        typer.Argument(
            help="A study's name or TOML file, or the first 8 digits of one that waits or was approved before."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(help="The hospital's own folder, as in its node's configuration.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
    rewind_to: Annotated[
        int | None, typer.Option(help="Let its runs go on after this round once more, from a restored backup.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree without being asked.")] = False,
    since: Annotated[
        str, typer.Option(help="Say what changed since this approval, by its digest; else the last of this title.")
    ] = "",
    list_: Annotated[bool, typer.Option("--list", help="Who approved what, when, and for which program.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Studies that asked and are not approved.")] = False,
    revoke: Annotated[str, typer.Option(help="Take the approval with this digest back.")] = "",
    refuse: Annotated[
        str, typer.Option(help="Decline the study, for this reason. The coordinator is told that, and not why.")
    ] = "",
    folder_option: Annotated[Path | None, typer.Option("--folder", help="The same as FOLDER.")] = None,
) -> None:
    """In a hospital: agree to a study, every setting of it. A deployed hospital serves no other.

    Says what the study does and costs, and what changed since the last approval of its title: settings, program,
    plug-ins, hospitals and keys. On a terminal it then asks; where there is none, as in a script, it does not.

    The yes is to the program that runs here now: after an update the node refuses until it is given anew. Flower's
    own node runs whatever program the coordinator sends instead; see docs/limits.md.
    """
    with spoken_errors():
        alone = list_ or waiting or bool(revoke)
        named, own = _arguments(study, folder, folder_option, alone)

        from experiments.approving import kept

        if list_:
            say(kept.told_approvals(own))
        if waiting:
            say(kept.told_waiting(own))
        if revoke:
            say([f"{kept.revoke(revoke, own)} is approved no more; the node refuses it from its next message on."])
        if alone:
            return
        if refuse:
            digest = _digest_of(named, set_, own)
            kept.refuse(digest, refuse, own)
            say([f"{digest} is declined; the reason stays in this folder."])
            return
        _approve(named, set_, own, rewind_to, yes, since)


def _approve(named: str, set_: list[str] | None, own: Path, rewind_to: int | None, yes: bool, since: str) -> None:
    from experiments.approving import agreement
    from experiments.approving.kept import known_study

    asks, how = _asking(yes)
    if _is_waiting(named, own):
        if set_ or rewind_to is not None:
            raise StudyError(
                "a study named by its digest is approved as it came: --set and --rewind-to are of a study's file."
            )
        agreement.approve_json(known_study(named, own), own, console, asks, how, since)
    else:
        agreement.approve_study(read_study(named)[0], set_ or [], own, console, rewind_to, asks, how, since)


def _asking(yes: bool) -> tuple[Callable[[], bool] | None, str]:
    from experiments.approving.agreement import ASKED, NO_TERMINAL, SAID_YES

    if yes:
        return None, SAID_YES
    if not _is_terminal():
        return None, NO_TERMINAL
    return lambda: typer.confirm("Agree to this study?", default=False), ASKED


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _arguments(study: str | None, folder: Path | None, option: Path | None, alone: bool) -> tuple[str, Path]:
    """Where no study is asked for, the one argument is the folder."""
    if alone and study is not None and folder is None and option is None:
        folder, study = Path(study), None
    found = folder or option
    if found is None or (study is None and not alone):
        raise typer.BadParameter("name the study and the hospital's own folder: wardround approve STUDY FOLDER")
    if not found.is_dir():
        raise StudyError(f"there is no folder {found}: it is the one that the hospital's node is set up with.")
    return study or "", found


def _is_waiting(named: str, own: Path) -> bool:
    from experiments.approving.kept import is_digest

    return is_digest(named) and not is_file_name(named)


def _digest_of(named: str, set_: list[str] | None, own: Path) -> str:
    """Of the study that is declined: one that waits, one that is approved, or a file's."""
    from client.approved_studies import digest_of, listed_digests
    from client.policy import read_policy
    from common.study.plugins import trusting
    from common.study.study import parse
    from experiments.approving.kept import waiting_called

    if not _is_waiting(named, own):
        with trusting(read_policy(own).trust):
            return digest_of(parse(read_study(named)[0], set_ or []).json)
    listed = [digest for digest in listed_digests(own) if digest.startswith(named.lower())]
    return listed[0] if len(listed) == 1 else waiting_called(named, own).digest
