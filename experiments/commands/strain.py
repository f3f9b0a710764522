"""The command that says how tissue is stretched through a series."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.files import access as files
from experiments.commands._terminal import DOUBTFUL, console, spoken_errors


def strain(
    series: Annotated[Path, typer.Argument(help="A NIfTI series in time; strain is from its first volume on.")],
    mask: Annotated[
        Path | None, typer.Option(help="The tissue in the first volume: what is not 0, such as a ring of muscle.")
    ] = None,
    transform: Annotated[str, typer.Option(help="displacement, velocity or bspline.")] = "displacement",
    similarity: Annotated[
        str, typer.Option(help="local_cc; ssd where brightness stays, mind where contrast changes.")
    ] = "local_cc",
    smoothness: Annotated[float, typer.Option(help="1 is usual, .1 to 20, more is stiffer.")] = 1.0,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a row of means a volume here.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Write a page with its curves here.")] = None,
) -> None:
    """Say how far tissue moves and how it is stretched, through a series in time such as a heart's beat.

    Each volume is registered to the first from where the one before was found. Strain is Green and Lagrange's, 0 at
    the first volume: away from the mask's middle (radial), round it, the least and the largest, and the volume.

    Exits with 4 where a search has probably failed.
    """
    with spoken_errors():
        from experiments.commands._strain import show

        files.demand_writable(csv_file, pictures)
        if not show(series, console, mask, transform, similarity, smoothness, csv_file, pictures):
            raise typer.Exit(DOUBTFUL)
