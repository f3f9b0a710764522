"""A hospital's PACS: whether it can be used, what a study takes of it, its images, and answers sent to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.files import access as files
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import is_file_name, read_study
from experiments.commands._terminal import console, say, spoken_errors

if TYPE_CHECKING:
    from client.sources.dicomweb import DicomWeb

cli = typer.Typer(help="A hospital's PACS: look, find, fetch, and send answers to it.", no_args_is_help=True)
LOST = 3
Folder = Annotated[Path, typer.Option(help="The hospital's folder that holds pacs.toml.")]
StudyFolder = Annotated[
    Path | None, typer.Option(help="The hospital's folder that holds pacs.toml; else the study's.")
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")]
StudyName = Annotated[str, typer.Argument(help="A TOML file whose source is 'dicomweb'.")]
SIGNS = {True: "ok    ", False: "FAILED", None: "-     "}


@cli.command("check")
def pacs_check(folder: Folder = Path()) -> None:
    """Look whether the PACS can be reached, and does what a study needs of it. Exits with 1 where it does not."""
    with spoken_errors():
        from experiments.pacs.looking import look

        well = True
        for point in look(folder):
            say([f"{SIGNS[point.well]} {point.what}: {point.words}"])
            well = well and point.well is not False
        if not well:
            raise typer.Exit(1)


@cli.command("find")
def pacs_find(
    study: StudyName,
    folder: StudyFolder = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table here: it names patients.")] = None,
    set_: Overrides = None,
) -> None:
    """Say which series a study takes, and of each other one why it is put aside. Fetches no image.

    What only pixels tell, such as images that are cut off, is found when a study reads them. Exits with 1 where
    nothing can be used.
    """
    with spoken_errors(), trusting(ANYTHING):
        from dataclasses import asdict

        from common.files.json_files import write_json

        files.demand_writable(json_file)
        found = list(_source(study, folder, set_).found())
        for one in found:
            about = f"{one.patient or '-'}  {one.study_date or '-'}  {one.modality or '-'}  {one.images} images"
            reason = f": {one.reason}" if one.reason else ""
            say([f"{'left out' if one.reason else 'taken   '}  {about}  {one.name}{reason}"])
        taken = sum(not one.reason for one in found)
        say([f"{taken} series taken, {len(found) - taken} left out."])
        if json_file is not None:
            write_json(json_file.parent, json_file.name, [asdict(one) for one in found])
        if not taken:
            raise typer.Exit(1)


@cli.command("fetch")
def pacs_fetch(
    study: StudyName,
    out: Annotated[Path, typer.Option(help="Write the series into this folder, which is not there yet.")],
    folder: StudyFolder = None,
    set_: Overrides = None,
) -> None:
    """Copy the series that a study takes into a folder. Exits with 3 where one could not be had."""
    with spoken_errors(), trusting(ANYTHING):
        from rich.progress import Progress

        from experiments.pacs.asking import fetch
        from server.reporting.markup import in_a_line, visible

        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("fetching", total=None)

            def heard(name: str, number: int, count: int) -> None:
                words = visible(in_a_line(name)).replace("[", r"\[")
                progress.update(bar, description=words[:60], completed=number - 1, total=count)

            count, left_out = fetch(_source(study, folder, set_), out, heard)
        say(f"Not fetched: {one.name}: {one.reason}" for one in left_out)
        say([f"{count} images in {out.resolve()}"])
        if left_out:
            raise typer.Exit(LOST)


@cli.command("send")
def pacs_send(
    predictions: Annotated[Path, typer.Argument(help="The folder that `wardround predict --out` wrote.")],
    folder: Folder = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the objects beside the answers, send none.")
    ] = False,
) -> None:
    """Send predicted outlines to the PACS as DICOM segmentations of the series they were predicted for.

    What is there already is left as it is, and said. Marked as research, not for diagnosis. Exits with 3 where one
    could not be sent.
    """
    with spoken_errors():
        from experiments.pacs.sending import send

        lost = False
        for one in send(predictions, folder, dry_run):
            say([f"{one.word}: {one.case}: {one.reason}"])
            lost = lost or one.is_lost
        if lost:
            raise typer.Exit(LOST)


def _source(study: str, folder: Path | None, overrides: list[str] | None) -> DicomWeb:
    """Of a study that is read and looked at no further: which hospitals there are, only images could say."""
    from common.study.study import parse
    from experiments.pacs.asking import source_of
    from experiments.places import with_whole_folder

    text, _ = read_study(study)
    beside = Path(study).parent if is_file_name(study) else None
    return source_of(with_whole_folder(parse(text, overrides or (), beside), Path(study)), folder)
