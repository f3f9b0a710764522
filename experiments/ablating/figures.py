"""`ablation.json`: what was left out, and what the score lost; written, and read again by other pages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.errors import FileError
from common.files.json_files import read_table, write_json
from experiments.ablating.conduct import Ablated
from experiments.ablating.losses import Row, Summed, summed

FIGURES = "ablation.json"
SCHEMA = "wardround/ablation/1"


@dataclass(frozen=True)
class Figures:
    """headline: the score. before: it, of each seed's whole run. rows: of every run; variants: over seeds. whole_s:
    what a whole run took.
    """

    title: str
    headline: str
    before: dict[int, float | None]
    rows: tuple[Row, ...]
    variants: tuple[Summed, ...]
    whole_s: float

    @classmethod
    def of(cls, found: Ablated) -> Figures:
        """Of what was conducted."""
        rows = found.rows
        return cls(found.study.title, found.headline, found.before, rows, summed(rows), found.whole_s)

    def table(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "schema": SCHEMA,
            "title": self.title,
            "headline": self.headline,
            "before": {str(seed): value for seed, value in self.before.items()},
            "rows": [row.table() for row in self.rows],
            "variants": [asdict(one) for one in self.variants],
            "whole_s": round(self.whole_s, 2),
        }


def write_figures(found: Figures, folder: Path) -> None:
    """Beside the page."""
    write_json(folder, FIGURES, found.table())


def read_figures(folder: Path) -> Figures:
    """Raises FileError where there are none, or others than these."""
    table = read_table(folder, FIGURES, required=True)
    try:
        if table["schema"] != SCHEMA:
            raise ValueError(table["schema"])
        return Figures(
            str(table["title"]),
            str(table["headline"]),
            {int(seed): _number(value) for seed, value in table["before"].items()},
            tuple(Row.of(one) for one in table["rows"]),
            tuple(Summed(**one) for one in table["variants"]),
            float(table["whole_s"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(folder / FIGURES, "is no record of an ablation of this version: ablate again") from error


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
