"""What augmentations do to a study's own images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.files import access as files
from common.study.plugins import ANYTHING, resolved, trusting
from experiments.commands._study_text import asked_study
from experiments.commands._terminal import say, spoken_errors


def views(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    augmentation: Annotated[
        list[str] | None,
        typer.Option(help="Of `wardround list augmentations`, or a file of yours; the task's own if not given."),
    ] = None,
    html: Annotated[Path, typer.Option(help="The page to write, with images of patients: it stays there.")] = Path(
        "views.html"
    ),
    folder: Annotated[Path | None, typer.Option(help="In a hospital: its own folder of data.")] = None,
    site: Annotated[str | None, typer.Option(help="The one hospital to look at; all if not given.")] = None,
    cases: Annotated[int, typer.Option(min=1, max=24, help="How many cases are shown.")] = 3,
    number: Annotated[int, typer.Option("--views", min=1, max=24, help="How many views of each.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Other views of the same cases.")] = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
) -> None:
    """Show on a page what augmentations make of a study's own images, before anything is trained.

    Rows of views of a few cases, each step alone, and whether pixels alone tell cases apart: an augmentation that is
    too easy. The page holds images of patients and needs no network.
    """
    with spoken_errors(), trusting(ANYTHING):
        files.demand_writable(html)
        asked = asked_study(study, set_)
        from experiments.shown_views.command import write_views

        shown = write_views(
            asked.study,
            html,
            augmentations=[resolved(one, Path.cwd()) for one in augmentation or ()],
            folder=folder,
            site=site,
            cases=cases,
            views=number,
            seed=seed,
        )
        say([*asked.remarks, f"Wrote {html}, views by {', '.join(shown)}. It shows images: it stays here."])
