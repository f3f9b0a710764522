"""`wardround views`: reads some cases, and writes the page of what augmentations make of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.data.cases import SiteId
from common.errors import SourceError
from common.files.access import write_to
from common.study.study import Study
from experiments.data_check.reading import reading_of
from experiments.shown_views.cases import shown_cases
from experiments.shown_views.page import page_of
from experiments.shown_views.pipelines import augmentations_of


def write_views(
    study: Study,
    page: Path,
    *,
    augmentations: Sequence[str] = (),
    folder: Path | None = None,
    site: SiteId | None = None,
    cases: int = 3,
    views: int = 6,
    seed: int = 0,
) -> tuple[str, ...]:
    """The augmentations that are shown. folder: a hospital's own data. site: one hospital alone.

    Raises SourceError where the data are absent, StudyError where they are no images or an augmentation is unknown.
    """
    if folder is not None and not folder.expanduser().is_dir():
        raise SourceError(f"there is no folder {folder}: --folder names the one that holds the hospital's data.")
    named = augmentations_of(study, augmentations)
    own = None if folder is None else str(folder.expanduser().absolute())
    shown = shown_cases(reading_of(study, own, site))
    write_to(page, page_of(study.title or study.task.name, named, shown, cases, views, seed))
    return tuple(one.entry.name for one in named)
