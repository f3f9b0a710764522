"""The command that brings one image onto another, or each volume of a series onto their mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import ImageError
from common.files import access as files
from experiments.commands._terminal import DOUBTFUL, console, spoken_errors


def register(
    moving: Annotated[Path, typer.Argument(help="The NIfTI file to bring over; alone, a series in time.")],
    fixed: Annotated[
        Path | None, typer.Argument(help="The NIfTI file to bring it onto. Without: undo the motion of a series.")
    ] = None,
    transform: Annotated[
        str | None,
        typer.Option(
            help="rigid, similarity, affine, bspline, displacement or velocity; if not given affine, of series rigid."
        ),
    ] = None,
    similarity: Annotated[str, typer.Option(help="auto, or ssd, sad, cc, local_cc, mi, nmi, cr or mind.")] = "auto",
    starts: Annotated[int, typer.Option(help="Rotations to begin from; more are tried in doubt.")] = 1,
    levels: Annotated[
        int | None, typer.Option(help="Of coarse to fine images; as many as suit the size if not given.")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="Another channel of both, MOVING=FIXED, which counts as much; again for more."),
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Where of the fixed image to look: what is not 0.")] = None,
    moving_mask: Annotated[Path | None, typer.Option(help="Where of the moving image to look.")] = None,
    initial: Annotated[Path | None, typer.Option(help="Begin from this transform of ITK.")] = None,
    landmarks: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two .csv of the same points, fixed and moving, that a deformation shall bring together."),
    ] = None,
    smoothness: Annotated[
        float | None, typer.Option(help="Of deformations: 1 if not given, .1 to 20, more is stiffer.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Of deformations: at the most on each level.")] = None,
    check_points: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two .csv of the same points, fixed and moving: how far apart before and after."),
    ] = None,
    points_in: Annotated[str, typer.Option(help="World of columns x, y, z of all .csv: LPS or RAS.")] = "",
    check_labels: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Label maps of both, fixed first: Dice before and after.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Of a series: how often all are brought onto their mean.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the random places.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the moving image here, on the fixed lattice.")] = None,
    transform_out: Annotated[
        Path | None, typer.Option(help="Write the transform here for ITK: .tfm or .h5, or .nii.gz of displacements.")
    ] = None,
    outside: Annotated[
        float | None,
        typer.Option(help="What --out holds beyond the moving image; its least value if not given: air, in CT too."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write here whether it failed, why, what was tried, and the figures."),
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Of a series: write its motion here.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Write a page of pictures, before and after, here; of a series its curves.")
    ] = None,
) -> None:
    """Register one image to another: the transform, the resampled image, and how it went.

    The moving image is turned, shifted and stretched (rigid, similarity, affine), then bent where asked (bspline,
    displacement, velocity), from coarse to fine, until it is most like the fixed one. A single series in time is
    registered volume by volume onto its mean. Points and labels to check with are not used by the search.

    Exits with 4 where the search has probably failed, and says why in its first lines; what was found is written.
    """
    with spoken_errors():
        from experiments.commands._register import Asked, align

        files.demand_writable(out, transform_out, pictures, csv_file, json_file)
        if fixed is None:
            others = (also, mask, moving_mask, initial, landmarks, smoothness, iterations, levels, outside)
            written = (check_points, check_labels, transform_out, json_file)
            if any(one is not None for one in (*others, *written)):
                raise ImageError(
                    "a series takes --transform, --similarity, --rounds, --seed, --out, --csv and --pictures."
                )
            from experiments.commands._motion import follow

            good = follow(moving, console, transform or "rigid", similarity, rounds, seed, out, csv_file, pictures)
        else:
            if csv_file is not None:
                raise ImageError("--csv is of a series in time, which is named alone.")
            asked = Asked(
                transform or "affine", similarity, starts, seed, levels, mask, moving_mask, initial, landmarks,
                smoothness, iterations, check_points, points_in, check_labels, out, transform_out, pictures,
                json_file, outside, tuple(also or ()),
            )  # fmt: skip
            good = align(moving, fixed, console, asked)
        if not good:
            raise typer.Exit(DOUBTFUL)
