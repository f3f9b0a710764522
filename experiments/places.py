"""Where a study's data are, said so that the run can go on from anywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from common.files.json_files import read_table
from common.study.options import Entry
from common.study.study import Study

ROOT = "WARDROUND_DATA"
PLUGINS = "plugins"
"""In a run's folder: modules of files that a study named, where its nodes import modules only."""


def with_whole_folder(study: Study, file: Path | None = None) -> Study:
    """The study with an absolute `source.folder`.

    A relative one is looked for in the working directory, then beside the study's own `file`; `~` is the user's home.
    """
    given = study.source.options.get("folder")
    if not isinstance(given, str) or not given:
        return study
    here = Path(given).expanduser()
    beside = file.parent / here if file is not None else here
    found = beside if beside.is_dir() and not here.is_dir() else here
    return replace(study, source=Entry(study.source.name, {**study.source.options, "folder": str(found.absolute())}))


def with_modules_of(folder: Path) -> None:
    """Let the study in a run's folder, which is trusted, find the plug-ins that the folder keeps.

    Before everything else: where the run began, the file that they were may have changed since.
    """
    place = (folder / PLUGINS).absolute()
    if place.is_dir() and str(place) not in sys.path:
        sys.path.insert(0, str(place))


@contextmanager
def data_root_of(folder: Path, resume: bool) -> Iterator[None]:
    """Data sets whose folder the study does not say are those of where the run began, unless the environment says."""
    kept = read_table(folder, "run.json").get("data_root") if resume else None
    if not isinstance(kept, str) or not kept or ROOT in os.environ:
        yield
        return
    os.environ[ROOT] = kept
    try:
        yield
    finally:
        del os.environ[ROOT]
