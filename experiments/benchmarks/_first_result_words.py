"""What may be wrong with a run that seems to have gone well, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common.files.access import is_there
from common.files.json_files import read_table


def what_went_wrong(runs: Path, persons: int) -> str:
    """ "" where one run in `runs` has a report, every hospital, all cases and a score, and knows who is one person.

    persons: a hospital. In no split is a person of another: the numbers of persons in the splits add up to `persons`.
    """
    found = sorted(runs.glob("*/*/summary.json"))
    if len(found) != 1:
        return f"there are {len(found)} runs in {runs.name}, and one was begun"
    folder = found[0].parent
    if not is_there(folder, "report.html"):
        return "there is no report.html"
    return "; ".join(_faults(read_table(folder, "summary.json"), persons))


def _faults(summary: Mapping[str, Any], persons: int) -> Iterator[str]:
    if summary["outcome"] != "completed":
        yield f"it ended as {summary['outcome']!r}"
    if len(summary["took_part"]) != summary["expected"]["hospitals"]:
        yield f"{len(summary['took_part'])} of {summary['expected']['hospitals']} hospitals took part"
    if summary["headline"]["federated"] is None:
        yield "no score of the final model is known"
    yield from summary["problems"]
    for site, hospital in summary["hospitals"].items():
        if hospital["quarantined"]:
            yield f"{site}: {hospital['quarantined']} cases could not be used"
        if (counted := sum(hospital["patients"].values())) != persons:
            yield f"{site}: {counted} persons in its splits, and it has {persons}"
