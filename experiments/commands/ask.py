"""The command that asks a study's hospitals what is no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import StudyError
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study
from experiments.commands._terminal import console, say, spoken_errors

if TYPE_CHECKING:
    from common.asking.question import Question

INTERRUPTED = "Interrupted; every process was ended. What had been answered is in the folder."


def ask(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file: whose hospitals.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(help="An analysis and what it is of: mean age by site. None: all that the study lists."),
    ] = None,
    by: Annotated[str, typer.Option(help="Answer it in groups of this column; site: of each hospital's.")] = "",
    where: Annotated[
        list[str] | None, typer.Option(help="Only rows for which this holds: 'age > 50'. Repeatable: all must.")
    ] = None,
    epsilon: Annotated[
        float, typer.Option(help="Of noise that hides every person in the answer; 0: none. --where always needs it.")
    ] = 0.0,
    delta: Annotated[float, typer.Option(help="With --epsilon: Gaussian noise of this delta, not geometric.")] = 0.0,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the analysis: --option bins=20. Repeatable.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting, as for run: --set aggregation=bfv.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="inline, processes, simulation, deployment or nodes; short for --set engine=.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the answers; runs/<study>-asked/<time> if not given.")
    ] = None,
    coordinator: Annotated[
        Path | None,
        typer.Option(help="The coordinator's own folder: hospitals' nodes are asked, in the queue of `server up`."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print answer.json, and nothing else.")] = False,
) -> None:
    """Ask hospitals what is no model: counts, means, tests, regressions, survival, by sums alone.

    Every analysis that `wardround list analyses` shows, in words: `wardround ask heart mean age by site`. Exits
    with 1 where a question has no answer.
    """
    with spoken_errors(INTERRUPTED), trusting(ANYTHING):
        from experiments.asking.asking import ask_study, questions_of
        from experiments.asking.at_coordinator import ask_nodes
        from experiments.asking.shown import show
        from experiments.asking.spoken import option_of, question_of
        from server.app import new_default_folder

        if folder is not None and folder.is_file():
            raise StudyError(f"{folder} is a file; answers need a folder of their own.")
        overrides = [*(set_ or []), *([f"engine={engine}"] if engine else [])]
        questions: tuple[Question, ...] = ()
        if words:
            options = dict(map(option_of, option or ()))
            questions = (question_of(words, by, where or (), options, epsilon, delta),)
        elif by or where or option or epsilon:
            raise StudyError(
                "--by, --where and --option are of a question that is named: wardround ask STUDY mean age"
            )
        say_if = (lambda lines: None) if as_json else say
        if coordinator is not None:
            answered = ask_nodes(coordinator, study, overrides, questions, say_if)
        else:
            asked = asked_study(study, overrides)
            say_if(asked.remarks)
            name = f"{asked.name}-asked"
            place = folder or new_default_folder(name)
            answered = ask_study(asked.study, name, place, questions or questions_of(asked.study))
        if as_json:
            typer.echo(json.dumps(answered.table, indent=1, ensure_ascii=False))
        else:
            show(answered.table, console)
            say([*answered.said_by_hospitals, f"Page: {answered.page.resolve()}"])
        if not answered.all_have_one:
            raise typer.Exit(1)
