"""Whether the model that a study begins from may have learned from persons whom the study tests."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import FileError
from common.files import access as files
from common.study.study import Study

TEXT = "study.toml"
DIVIDING = ("seed", "split", "partition")
"""What of a study decides which persons are tested, where the data are the same."""


def remark_on_start(study: Study) -> str:
    """A sentence where the run that the model is of divided persons otherwise; "" also where nobody knows."""
    if study.start is None:
        return ""
    before = _study_of(Path(study.start.model))
    ours = tomllib.loads(study.text)
    differ = [name for name in DIVIDING if before and before.get(name) != ours.get(name)]
    if not differ:
        return ""
    return (
        f"The run that start.model is of divides persons otherwise than this study: {' and '.join(differ)} differ. "
        "Persons who are tested here may be among those that it learned from, and scores then promise too much: let "
        "both studies say the same."
    )


def _study_of(model: Path) -> Mapping[str, Any]:
    folder = model if model.is_dir() else model.parent
    try:
        return tomllib.loads(files.read_text(folder, TEXT))
    except (FileError, ValueError, RecursionError):
        return {}
