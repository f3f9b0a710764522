"""The run that a study begins from, where `start.model` names a study's folder of runs and no run of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from common.errors import StudyError

RUNS, ROOT = "runs", "WARDROUND_RUNS"
NEEDED = ("model.safetensors", "summary.json")
"""What a run has that has ended."""
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)(?:-(\d+))?")


def newest_run(model: Path) -> Path:
    """The model as it is; of a folder of runs, runs/<study>/<time>, the newest that has ended.

    A folder that begins with `runs` is looked for where runs are kept (WARDROUND_RUNS) too. Raises StudyError where
    there is no such run: then the study that it is to come from was not run yet.
    """
    place = _kept(model)
    if place.is_file() or (place / NEEDED[0]).exists():
        return place
    found = sorted((path for path in _times(place)), key=_when)
    ended = [path for path in found if all((path / name).is_file() for name in NEEDED)]
    if ended:
        return ended[-1]
    if found:
        raise StudyError(
            f"start.model {model}: none of its {len(found)} runs has ended. Let one go on, with wardround resume "
            f"{found[-1]}, or name a run that has a model."
        )
    if place.is_dir() or model.parts[:1] == (RUNS,):
        raise StudyError(
            f"start.model {model}: no run of {place.name!r} is there yet, and this study begins from its model. "
            f"First: wardround run {place.name}. A model that lies elsewhere is named with --set start.model=..."
        )
    return place


def _kept(model: Path) -> Path:
    """Where a path below `runs` is meant, as new runs are."""
    elsewhere = os.environ.get(ROOT)
    if model.exists() or not elsewhere or model.parts[:1] != (RUNS,):
        return model
    return Path(elsewhere, *model.parts[1:])


def _times(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if path.is_dir() and TIME.fullmatch(path.name)] if place.is_dir() else []


def _when(path: Path) -> tuple[str, int]:
    found = TIME.fullmatch(path.name)
    return ("", 0) if found is None else (found[1], int(found[2] or 1))
