"""Commands that look at a study without running it."""

from __future__ import annotations

from typing import Annotated

import typer

from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study
from experiments.commands._terminal import console, spoken_errors


def check(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
) -> None:
    """Check a study without running it: settings, sums, trust, and a case and its network where the data are here.

    Plug-ins that it names are imported, which runs code of whoever wrote them: read a stranger's study first.
    """
    with spoken_errors(), trusting(ANYTHING):
        asked = asked_study(study, set_)

        from experiments.approving.question_words import refused_questions
        from experiments.first_look import first_look
        from experiments.planning.configuration import as_asked
        from experiments.study_view import study_facts
        from server.reporting.markup import in_a_line, visible

        console.print(visible(asked.study.text), markup=False, highlight=False)
        facts = (*study_facts(asked.study), *refused_questions(asked.study), *first_look(as_asked(asked.study)))
        for fact in (*asked.remarks, *facts):
            console.print(f"# {in_a_line(fact)}", markup=False, highlight=False, soft_wrap=True)
