"""The command that asks hospitals what their images are like, and writes out a study that configures itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.files import access as files
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study
from experiments.commands._terminal import console, say, spoken_errors


def plan(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file whose network is 'auto'.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: --set task.network=auto. Repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the study with all settings filled in here.")] = None,
    question: Annotated[
        Path | None,
        typer.Option(help="Ask nobody: write the study here that hospitals approve to be asked under."),
    ] = None,
    answer: Annotated[
        Path | None,
        typer.Option(help="Ask nobody: plan by this answer.json, of the question asked with wardround ask."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write plan and summary here.")] = None,
) -> None:
    """Plan spacing, patch, levels, batch and normalisation by hospitals' sums, without training.

    `wardround run` does the same at its start where the network is 'auto'. Among real hospitals the study that is
    trained must be one that they approved: --question writes what they are asked, --answer plans by what they said.
    """
    with spoken_errors(), trusting(ANYTHING):
        from experiments.planning.configuration_command import write_plan, write_question

        files.demand_writable(out, question, json_file)
        asked = asked_study(study, set_)
        say(asked.remarks)
        if question is not None:
            say(write_question(asked.study, question))
            return
        found, sentences = write_plan(asked.study, asked.name, answer, out)
        if json_file is not None:
            files.write_to(json_file, json.dumps(found, indent=1) + "\n")
        for sentence in sentences:
            console.print(sentence, markup=False, highlight=False, soft_wrap=True)
