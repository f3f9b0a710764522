"""`wardround reconstruct`: data or an image in; an image, its scores, a record and pictures out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from common.errors import ImageError
from common.files.access import write_to
from experiments.measuring.image_files import check_name, is_nifti
from experiments.reconstructing.acquisition import acquire
from experiments.reconstructing.asked import Asked
from experiments.reconstructing.learned import load_learned
from experiments.reconstructing.methods import WEIGHTS_TRIED, answer
from experiments.reconstructing.results import PICTURES, pictures, record, result_of, tell, write_images
from server.reporting.markup import visible

WORTH_TELLING_S = 2.0
"""Of one weight: then all of them take half a minute."""


def reconstruct(
    asked: Asked, console: Console, out: Path | None, json_file: Path | None, figure: Path | None
) -> None:
    """Do it, print it, and write what is asked for. Raises StudyError, ImageError or FileError before any work that a
    wrong word would waste.
    """
    if out is not None:
        check_name(out)
    if figure is not None and figure.suffix not in PICTURES:
        raise ImageError(f"{figure.name} must end with {' or '.join(PICTURES)}.")
    learned = None if asked.run is None else load_learned(asked.run)
    name = asked.method_name
    entry = learned.operator if learned is not None and asked.operator is None else None
    with _of_memory(), console.status("reads the data and looks at the operator"):
        acquired = acquire(asked, entry or asked.entry("operator", asked.operator or ""))
    for remark in acquired.remarks:
        console.print(visible(remark), markup=False, highlight=False, soft_wrap=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with _of_memory(), Progress(*columns, console=console, transient=True) as progress:
        bar, begin = progress.add_task(name, total=None), perf_counter()

        def heard(what: str, done: int, of: int) -> None:
            progress.update(bar, description=f"{name}: {what}", completed=done, total=of)
            if what == WEIGHTS_TRIED and done == 1 and (spent := perf_counter() - begin) >= WORTH_TELLING_S:
                console.print(
                    f"The first of {of} weights took {spent:.0f} s: about {of * spent:.0f} s for all, then "
                    "a few times as long as one of them for the image. --weight NUMBER does without.",
                    soft_wrap=True,
                )

        found = answer(asked, acquired, learned, heard)
    result = result_of(acquired, found)
    tell(result, console)
    if out is not None:
        write_images(result, asked, out)
        if acquired.complex_images and is_nifti(out):
            console.print(
                f"{visible(out.name)} holds the magnitude; .npy and .h5 hold complex numbers.", markup=False
            )
    if json_file is not None:
        write_to(json_file, json.dumps(record(asked, result), indent=1) + "\n")
    if figure is not None:
        write_to(figure, pictures(asked, result, figure))


@contextmanager
def _of_memory() -> Iterator[None]:
    """Raise ImageError where the images are more than this machine's memory holds."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        raise ImageError(
            "the images are too large for the memory of this machine: take fewer slices at once, or --slices."
        ) from error
