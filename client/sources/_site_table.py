"""The table that says which hospital each patient is from."""

from __future__ import annotations

import csv
from pathlib import Path

from client.sources._folders import needed
from common.cases import SiteId
from common.errors import SourceError


def site_table(path: Path, site_column: str, remedy: str) -> dict[str, SiteId]:
    """The hospital of every patient, from the columns `patient` and `site_column` of a CSV file in UTF-8.

    Raises SourceError, with the number of the line, where a patient or a hospital is not named, a patient is
    given to two hospitals, or a name could lead out of the folder.
    """
    try:
        with needed(path, remedy).open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} is not a CSV file in UTF-8.") from error
    if not rows or not {"patient", site_column} <= rows[0].keys():
        raise SourceError(f"{path} must have the columns patient and {site_column}.")
    sites: dict[str, SiteId] = {}
    for line, row in enumerate(rows, start=2):
        patient, site = row["patient"], row[site_column]
        if not patient or not site or set(patient) & set("/\\\0"):
            raise SourceError(f"line {line} of {path} does not name a patient and a hospital.")
        if sites.setdefault(patient, site) != site:
            raise SourceError(f"line {line} of {path} gives a patient to a second hospital.")
    return sites
