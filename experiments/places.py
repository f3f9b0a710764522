"""Where a study's data are, said so that the run can go on from anywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from common.errors import FileError, StudyError
from common.files.access import LARGEST_BYTES, read_all
from common.files.json_files import read_table
from common.study.options import Entry
from common.study.own_weights import brings_weights, network_of
from common.study.study import Study
from experiments.newest_run import RUNS, newest_run

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


def with_whole_start(study: Study, beside: Path | None = None) -> Study:
    """The study with an absolute `start.model` and its digest: from the study's folder, or from here if it is here.

    Of a folder of runs it is the newest, see `newest_run`. Raises StudyError where the model is absent, or another
    than the study names.
    """
    if study.start is None:
        return study
    from common.learning.start import read_start, with_digest

    given = Path(study.start.model).expanduser()
    place = given if beside is None else beside / given
    here = beside is not None and not place.exists() and (given.exists() or given.parts[:1] == (RUNS,))
    found = newest_run(given if here else place)
    whole = replace(study, start=replace(study.start, model=str(found.absolute())))
    if study.start.sha256 is not None:
        read_start(replace(study.start, model=str(found.absolute())))
    return with_digest(whole)


def with_whole_network(study: Study, beside: Path | None = None) -> Study:
    """The study with an absolute path, and the digest, of a network that is a file with its own weights."""
    network = network_of(study.task)
    if network is None or not brings_weights(study.task):
        return study
    given = Path(str(network.options.get("file", ""))).expanduser()
    place = given if beside is None else beside / given
    found = (given if given.exists() and not place.exists() else place).absolute()
    try:
        digest = network.options.get("sha256") or sha256(read_all(found, LARGEST_BYTES)).hexdigest()
    except FileError as error:
        raise StudyError(
            f"network {network.name!r}: {error}. A relative path begins at the study's folder."
        ) from error
    options = {**network.options, "name": network.name, "file": str(found), "sha256": digest}
    return replace(study, task=Entry(study.task.name, {**study.task.options, "network": options}))


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
