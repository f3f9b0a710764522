"""The command that makes the mean of a group of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import ImageError
from common.files import access as files
from experiments.commands._terminal import complaints, console, spoken_errors


def template(
    images: Annotated[list[Path], typer.Argument(help="Two NIfTI files at least; the first one's lattice is taken.")],
    out: Annotated[Path, typer.Option(help="Write the template here, .nii or .nii.gz.")],
    transform: Annotated[
        str, typer.Option(help="rigid, similarity, affine, bspline, displacement or velocity.")
    ] = "affine",
    similarity: Annotated[str, typer.Option(help="ssd, sad, cc, local_cc, mi, nmi, cr or mind.")] = "cc",
    rounds: Annotated[int, typer.Option(help="How often all are brought onto their mean.")] = 3,
    seed: Annotated[int, typer.Option(help="Of the random places.")] = 0,
    transforms_out: Annotated[
        Path | None, typer.Option(help="A folder for each image's transform: NAME.tfm, or NAME.nii.gz.")
    ] = None,
) -> None:
    """Make the mean template of a group: all are registered to their mean, which favours none of them.

    Exits with 1 where a search has probably failed, and says which; what was found is written.
    """
    with spoken_errors():
        from rich.progress import track

        from common.data.image import SUFFIXES, read_image, write_image
        from common.registration.displacement import sampled
        from common.registration.groups import group_template
        from common.registration.itk_files import write_transform
        from common.registration.linear import Linear

        if not out.name.endswith(SUFFIXES):
            raise ImageError(f"{out.name} must end with .nii or .nii.gz.")
        files.demand_writable(out)
        names = [path.name.removesuffix(".gz").removesuffix(".nii") for path in images]
        if transforms_out is not None and len(set(names)) < len(names):
            raise ImageError("two images have one name, and their transforms would be one file.")
        read = [read_image(path) for path in track(images, "Images", console=complaints, transient=True)]
        found = group_template(read, transform, similarity, rounds, seed=seed)
        for doubt in found.doubts:
            console.print(f"This has probably failed: {doubt}.", style="bold red", soft_wrap=True, markup=False)
        changes = ", ".join(f"{change:.3g}" for change in found.changes)
        console.print(f"{len(read)} images; the template changed by {changes} deviations.", highlight=False)
        write_image(found.template, out)
        for name, one in zip(names, found.transforms, strict=True):
            if transforms_out is None:
                continue
            linear = isinstance(one, Linear)
            kept = one if linear else sampled(one, found.template.geometry)
            write_transform(kept, transforms_out / f"{name}{'.tfm' if linear else '.nii.gz'}")
        if found.doubts:
            raise typer.Exit(1)
