"""The command that says what changed between two visits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.files import access as files
from experiments.commands._terminal import console, spoken_errors


def changes(
    before: Annotated[Path, typer.Argument(help="The NIfTI file of the first visit.")],
    after: Annotated[Path, typer.Argument(help="That of the second, of the same kind.")],
    transform: Annotated[
        str, typer.Option(help="How the second is brought onto the first: rigid, similarity, affine or none.")
    ] = "rigid",
    mask: Annotated[Path | None, typer.Option(help="Where of the first to look; else above its least value.")] = None,
    rate: Annotated[
        float, typer.Option(help="Share of pairs without a change in which something may be reported.")
    ] = 0.05,
    size: Annotated[float, typer.Option(help="Of the lesions that are looked for, in mm.")] = 3.0,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write each voxel's p here, .nii or .nii.gz.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the places here.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Write a page that shows the places here.")] = None,
) -> None:
    """Say what changed between two visits of one patient, and how often that is seen where nothing changed.

    The second image is registered to the first and brought onto its brightness; what is left is compared with noise
    of the same kind. A change is no diagnosis: movement, another sequence or shading can be one.
    """
    with spoken_errors():
        from common.registration.linear import KINDS
        from common.study.checks import one_of
        from experiments.commands._changes import Sought, compare_visits

        one_of("changes", (*KINDS, "none"), transform=transform)
        files.demand_writable(out, csv_file, pictures)
        sought = Sought(transform, mask, rate, size, seed, out, csv_file, pictures)
        if not compare_visits(before, after, console, sought):
            raise typer.Exit(1)
