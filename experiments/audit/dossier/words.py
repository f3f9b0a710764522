"""Words for the first page from a file of their own, where the study does not say them."""

from __future__ import annotations

import tomllib
from pathlib import Path

from common.errors import StudyError
from common.files.access import read_all_text
from common.study.dossier_settings import Dossier
from common.study.options import build

LARGEST_BYTES = 1 << 20


def words_of(path: Path) -> Dossier:
    """Of a TOML file with one table, `[dossier]`. Raises StudyError for anything else."""
    try:
        table = tomllib.loads(read_all_text(path, LARGEST_BYTES))
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path} is not valid TOML: {str(error)[:200]}") from error
    said = table.get("dossier")
    if not isinstance(said, dict):
        raise StudyError(f"{path} holds no table [dossier].")
    return build(Dossier, said, "dossier")
