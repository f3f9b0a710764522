"""The command that makes a table k-anonymous, and says how many are found all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from experiments.commands._terminal import say, spoken_errors


def anonymise(
    table: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet: one row a person.")],
    quasi: Annotated[
        list[str] | None,
        typer.Option("--quasi", "-q", help="A column by which somebody might be found; may be repeated."),
    ] = None,
    sensitive: Annotated[str, typer.Option(help="The column that nobody is to learn of a person.")] = "",
    k: Annotated[int, typer.Option("--k", help="Fewest rows that are alike.")] = 5,
    l: Annotated[  # noqa: E741 - the field's own name
        float, typer.Option("--l", help="Fewest values of the sensitive column in every group.")
    ] = 1.0,
    t: Annotated[
        float, typer.Option("--t", help="Largest distance of a group's sensitive values from all rows', 0 to 1.")
    ] = 1.0,
    diversity: Annotated[str, typer.Option(help="Of l: distinct, entropy or recursive.")] = "distinct",
    distance: Annotated[str, typer.Option(help="Of t: equal, ordered or hierarchical.")] = "equal",
    hierarchy: Annotated[
        Path | None, typer.Option(help="A TOML file: groups that stand for words, and words in order.")
    ] = None,
    c: Annotated[float, typer.Option("--c", help="Of recursive l-diversity.")] = 1.0,
    person: Annotated[str, typer.Option(help="The column that tells whose a row is, where some have several.")] = "",
    keep: Annotated[
        list[str] | None, typer.Option(help="A column to release although it seems to say who somebody is.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="A column not to release; may be repeated.")] = None,
    side: Annotated[
        list[str] | None,
        typer.Option(help="What else may be known of a person, as column=tolerance, such as chol=10, or column."),
    ] = None,
    suppress: Annotated[float, typer.Option(help="Share of rows that may be left out.")] = 0.0,
    epsilon: Annotated[
        float, typer.Option(help="Of the release with noise that the page has beside this one.")
    ] = 1.0,
    partition: Annotated[
        Path | None,
        typer.Option(help="answer.json of `wardround ask STUDY mondrian`: release by all hospitals' partition."),
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where to write; <table>-k<k> if not given.")] = None,
) -> None:
    """Make a table k-anonymous (Mondrian), and try to find its people all the same.

    Writes release.csv, summary.json and a page for whoever decides whether the release may go out.
    """
    with spoken_errors():
        from common.anonymity.criteria import Criteria
        from experiments.anonymising.conduct import Wanted
        from experiments.anonymising.hierarchies import Meanings, read_meanings
        from experiments.anonymising.table import read_table
        from experiments.anonymising.writing import write_all

        source = read_table(table)
        meanings = read_meanings(hierarchy) if hierarchy else Meanings()
        criteria = Criteria(k, l, t, diversity, distance, c)  # type: ignore[arg-type]
        if not 0 < epsilon < 50:
            raise StudyError(f"epsilon must be above 0 and below 50; it is {epsilon:g}.")
        given = tuple(quasi or ()), criteria, sensitive, tuple(drop or ()), meanings, suppress, _side(side), person
        into = folder or table.parent / f"{table.stem}-k{k}"
        say(write_all(source, Wanted(*given), tuple(keep or ()), into, epsilon, partition))


def _side(given: list[str] | None) -> dict[str, float]:
    """Tolerance by column; a column alone is known as it is."""
    found: dict[str, float] = {}
    for one in given or ():
        name, mark, tolerance = one.rpartition("=")
        try:
            found[name if mark else one] = float(tolerance) if mark else 0.0
        except ValueError:
            mark, name = "=", ""
        if mark and not name:
            raise StudyError(f"side knowledge is said as column=tolerance, such as chol=10; it is {one!r}.")
    return found
