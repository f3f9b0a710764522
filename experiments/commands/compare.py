"""The command that lays several runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from common.study.plugins import trusting
from experiments.commands._study_text import TrustCode, code_of_folder
from experiments.commands._terminal import console, say, spoken_errors


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the others are compared with the first.")],
    out: Annotated[Path, typer.Option(help="Folder for compare.html and compare.json.")] = Path(),
    trust_code: TrustCode = False,
) -> None:
    """Compare runs: one page with their curves together, what differs in their studies, and how sure differences are.

    Where the test patients are on this machine both models are scored on the same samples of them (bootstrap over
    patients); else scores are shown, and that their difference has no interval.
    """
    with spoken_errors(), trusting(code_of_folder(trust_code)):
        if len(runs) < 2:
            raise StudyError("compare takes two run folders or more.")
        if len({run.resolve() for run in runs}) < len(runs):
            raise StudyError("compare was given the same run folder twice.")

        from experiments.comparing.measured import compare_runs
        from experiments.comparing.page import write_comparison

        with console.status("Scoring patients"):
            compared = compare_runs(runs)
        page = write_comparison(compared, out)
        lost = [f"No interval for {compared.names[k]}: {why}" for k, why in sorted(compared.unknown.items())]
        say([*lost, str(page.resolve())])
