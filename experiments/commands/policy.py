"""In a hospital: what its own rules are, and whether a study fits them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import StudyError
from experiments.commands._study_text import read_study
from experiments.commands._terminal import say, spoken_errors

if TYPE_CHECKING:
    from common.study.study import Study


def policy(
    folder: Annotated[Path, typer.Option(help="The hospital's own folder, with its policy.toml.")],
    study: Annotated[
        str | None, typer.Option(help="A study's name or file, or the first digits of one that waits.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting of the study.")] = None,
) -> None:
    """In a hospital: say its policy in plain sentences, and whether a study fits; exits 1 where it does not."""
    with spoken_errors():
        if not folder.is_dir():
            raise StudyError(f"there is no folder {folder}: it is the one that the hospital's node is set up with.")

        from experiments.approving.policy_words import fits, policy_sentences

        say(policy_sentences(folder))
        if study is not None:
            said, does = fits(_parsed(study, set_, folder), folder)
            say(said)
            if not does:
                raise typer.Exit(1)


def _parsed(study: str, set_: list[str] | None, folder: Path) -> Study:
    from client.policy import read_policy
    from common.study.plugins import trusting
    from common.study.study import parse, parse_json
    from experiments.approving.kept import is_digest, waiting_called

    with trusting(read_policy(folder).trust):
        if is_digest(study):
            return parse_json(waiting_called(study, folder).study)
        return parse(read_study(study)[0], set_ or [])
