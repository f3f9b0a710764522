"""The command that trains a study again without one thing after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import StudyError
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import asked_study
from experiments.commands._terminal import console, say, spoken_errors

if TYPE_CHECKING:
    from experiments.ablating.conduct import Ablation


def ablate(
    study: Annotated[str, typer.Argument(help="A shipped study's name, a TOML file, or a run's folder.")],
    leave_out: Annotated[
        list[str], typer.Option(help="hospitals, features (of a table) or regions (of images); several if repeated.")
    ],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(help="Columns left out together: --group blood=chol,fbs. Beside every column alone."),
    ] = None,
    grid: Annotated[int, typer.Option(min=2, help="Blocks along each axis of an image; each is left out once.")] = 3,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, from the study's own on; all runs are run for each.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of runs and page; RUN/ablation, or runs/<study>-ablated/<time> if not given."),
    ] = None,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run the plug-ins that a run folder's study names.")
    ] = False,
) -> None:
    """Train again without a hospital, a column or a region, and see what the score loses: ablation.html.

    Every run is kept: called again with the same --out, the command goes on with those that are not there yet.
    """
    with spoken_errors(), trusting(ANYTHING):
        from experiments.ablating.command import conduct
        from experiments.ablating.page import finding_of

        ablation = _asked(study, leave_out, set_ or [], _groups(group or []), grid, seeds, out, trust_code)
        figures, page = conduct(ablation, console)
        say([finding_of(figures), f"Page: {page.resolve()}"])


def _asked(
    study: str,
    leave_out: list[str],
    overrides: list[str],
    groups: dict[str, tuple[str, ...]],
    grid: int,
    seeds: int,
    out: Path | None,
    trust_code: bool,
) -> Ablation:
    from experiments.ablating.conduct import Ablation, study_of_run
    from experiments.ablating.variants import Wanted, refuse_unfit, variants_of
    from experiments.commands._study_text import code_of_folder
    from server.app import new_default_folder

    wanted = Wanted(tuple(leave_out), groups, grid)  # type: ignore[arg-type]
    run = Path(study) if Path(study).is_dir() else None
    if run is not None:
        if overrides:
            raise StudyError("--set is of a study, and a run was named: it is what it is.")
        with trusting(code_of_folder(trust_code)):
            whole, name = study_of_run(run), run.name
        place = out or run / "ablation"
    else:
        asked = asked_study(study, overrides)
        say(list(asked.remarks))
        whole, name = asked.study, asked.name
        place = out or new_default_folder(f"{name}-ablated")
    refuse_unfit(whole)
    return Ablation(whole, name, variants_of(whole, wanted), range(whole.seed, whole.seed + seeds), place, run)


def _groups(given: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in given:
        name, sign, columns = one.partition("=")
        members = tuple(column.strip() for column in columns.split(",") if column.strip())
        if not (name.strip() and sign and members):
            raise StudyError(f"--group {one!r}: write a name and its columns, such as --group blood=chol,fbs.")
        if name.strip() in found:
            raise StudyError(f"--group {name.strip()!r} was given twice.")
        found[name.strip()] = members
    return found
