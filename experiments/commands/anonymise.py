"""The command that makes a table k-anonymous, and says how many are found all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from experiments.commands._terminal import say, spoken_errors

KS = (2, 3, 5, 10, 20, 50)
RELEASE, SUMMARY, PAGE = "release.csv", "summary.json", "anonymity.html"


def anonymise(
    table: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet: one row a person.")],
    quasi: Annotated[
        list[str], typer.Option("--quasi", "-q", help="A column by which somebody might be found; may be repeated.")
    ],
    sensitive: Annotated[str, typer.Option(help="The column that nobody is to learn of a person.")] = "",
    k: Annotated[int, typer.Option("--k", help="Fewest rows that are alike.")] = 5,
    l: Annotated[  # noqa: E741 - the field's own name
        float, typer.Option("--l", help="Fewest values of the sensitive column in every group.")
    ] = 1.0,
    t: Annotated[
        float, typer.Option("--t", help="Largest distance of a group's sensitive values from all rows', 0 to 1.")
    ] = 1.0,
    diversity: Annotated[str, typer.Option(help="Of l: distinct or entropy.")] = "distinct",
    distance: Annotated[str, typer.Option(help="Of t: equal or ordered.")] = "equal",
    hierarchy: Annotated[Path | None, typer.Option(help="A TOML file of groups that stand for words.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="A column not to release; may be repeated.")] = None,
    side: Annotated[
        list[str] | None,
        typer.Option(help="What else may be known of a person, as column=tolerance, such as chol=10."),
    ] = None,
    suppress: Annotated[float, typer.Option(help="Share of rows that may be left out.")] = 0.0,
    folder: Annotated[Path | None, typer.Option(help="Where to write; <table>-k<k> if not given.")] = None,
) -> None:
    """Make a table k-anonymous (Mondrian), and try to find its people all the same.

    Writes release.csv, summary.json and a page for whoever decides whether the release may go out.
    """
    with spoken_errors():
        from common.anonymity.criteria import Criteria
        from common.files.access import write
        from experiments.anonymising.conduct import Wanted, release_of, rows_of, trade_off
        from experiments.anonymising.hierarchies import read_hierarchies
        from experiments.anonymising.page import finding, page_of, summary_of
        from experiments.anonymising.table import csv_of, read_table

        source = read_table(table)
        named = {*quasi, sensitive, *(drop or [])}
        dropped = (*(drop or []), *(one for one in source.identifying if one not in named))
        wanted = Wanted(
            tuple(quasi),
            Criteria(k, l, t, diversity, distance),  # type: ignore[arg-type]
            sensitive,
            dropped,
            read_hierarchies(hierarchy) if hierarchy else None,
            suppress,
            _side(side or []),
        )
        release = release_of(source, wanted)
        into = folder or table.parent / f"{table.stem}-k{k}"
        write(into, RELEASE, csv_of(*rows_of(source, wanted, release)))
        write(into, SUMMARY, json.dumps(summary_of(wanted, release), indent=2, allow_nan=False) + "\n")
        page = write(into, PAGE, page_of(source, wanted, release, trade_off(source, wanted, sorted({*KS, k}))))
        say([finding(source, wanted, release)])
        if set(dropped) - set(drop or []):
            gone = ", ".join(one for one in dropped if one not in (drop or []))
            say([f"Not released, since it seems to say who somebody is: {gone}."])
        say([f"{into / RELEASE}", f"{page}"])


def _side(given: list[str]) -> dict[str, float]:
    found = {}
    for one in given:
        name, mark, tolerance = one.rpartition("=")
        try:
            found[name] = float(tolerance)
        except ValueError:
            mark = ""
        if not mark or not name:
            raise StudyError(f"side knowledge is said as column=tolerance, such as chol=10; it is {one!r}.")
    return found
