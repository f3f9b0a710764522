"""Tables of scores by hospital, one column a size or severity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.withstanding.scored import Rows, means
from server.reporting.markup import Markup, table
from server.reporting.sections.layout import figure
from server.reporting.wording import SCORE_MEANINGS, capital, score, score_name

EVERYWHERE = "mean over hospitals"


def scores_of(rows: Rows, head: Sequence[str]) -> Markup:
    """One row a hospital, and one of all."""
    lines = [[site, *map(score, row)] for site, row in rows.items()]
    whole = [[EVERYWHERE, *map(score, means(rows))]] if len(lines) > 1 else []
    return table(("Hospital", *head), [*lines, *whole])


def distances(beside: Mapping[str, Rows], head: Sequence[str]) -> list[Markup]:
    """A table of each score that stands beside, and what it means."""
    return [
        figure(capital(score_name(name)), scores_of(rows, head), note=_meaning(name)) for name, rows in beside.items()
    ]


def _meaning(name: str) -> str:
    return f"{capital(SCORE_MEANINGS.get(name.removesuffix('_voxels'), ''))}.".replace(", in mm", "")
