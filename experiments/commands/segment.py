"""The command that outlines one image without any learning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from common.files import access as files
from experiments.commands._terminal import console, spoken_errors


def segment(
    given: Annotated[Path, typer.Argument(metavar="IN", help="The image: NIfTI, .npy or .h5, two or three axes.")],
    out: Annotated[Path, typer.Option(help="Write the label map here, in IN's place: .nii.gz, .nii, .npy or .h5.")],
    method: Annotated[str, typer.Option(help="threshold, otsu, grow or atlas.")] = "otsu",
    lower: Annotated[float | None, typer.Option(help="threshold, grow: the least value that belongs to it.")] = None,
    upper: Annotated[float | None, typer.Option(help="threshold, grow: the largest one.")] = None,
    classes: Annotated[int | None, typer.Option(help="otsu: how many, 2 to 4; 2 if not given.")] = None,
    seed: Annotated[
        list[str] | None, typer.Option(help="grow: a voxel to begin from, X,Y or X,Y,Z from 0; as often as wanted.")
    ] = None,
    seeds_in_mm: Annotated[
        bool, typer.Option("--seeds-in-mm", help="grow: seeds are points in mm, RAS, not voxels.")
    ] = False,
    tolerance: Annotated[
        float | None, typer.Option(help="grow: in the place of --lower and --upper, how far from the seeds' mean.")
    ] = None,
    connectivity: Annotated[
        int | None,
        typer.Option(help="Neighbours of a voxel: 4 or 8 in 2D; 6, 18 or 26 in 3D. The least if not given."),
    ] = None,
    atlas: Annotated[
        list[str] | None, typer.Option(help="atlas: IMAGE=LABELS, a labelled image; as often as wanted.")
    ] = None,
    fusion: Annotated[
        str | None, typer.Option(help="atlas: how several become one: majority, locally_weighted, ...")
    ] = None,
    largest_part: Annotated[
        bool, typer.Option("--largest-part", help="Keep of each label its largest part alone.")
    ] = False,
    fill_holes: Annotated[
        bool, typer.Option("--fill-holes", help="Background that a label encloses becomes its own.")
    ] = False,
    truth: Annotated[Path | None, typer.Option(help="True labels: the Dice of each stands beside.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write how and what was found here; beside --out if not given.")
    ] = None,
) -> None:
    """Outline an image without any learning: by thresholds, by growing from seeds, or by labelled images.

    Exits with 1 where the result has probably failed, and says why in its first lines; what was found is written.
    What each method is good and bad at: docs/segmentation.md. A research tool, not a medical device.
    """
    with spoken_errors("Interrupted; nothing was written."):
        from experiments.segmenting.asked import Asked
        from experiments.segmenting.command import outline, record_beside

        options: dict[str, Any] = {
            "lower": lower,
            "upper": upper,
            "classes": classes,
            "seeds": seed or None,
            "seeds_in_mm": seeds_in_mm or None,
            "tolerance": tolerance,
            "atlases": atlas or None,
            "fusion": fusion,
        }
        asked = Asked(
            given=given,
            method=method,
            options={name: value for name, value in options.items() if value is not None},
            connectivity=connectivity,
            largest=largest_part,
            filled=fill_holes,
            truth=truth,
        )
        beside = record_beside(out) if json_file is None else json_file
        files.demand_writable(out, beside)
        if not outline(asked, console, out, beside):
            raise typer.Exit(1)
