"""Tables whose numbers stay whole, however narrow the terminal is."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDEST, BORDERS = 10_000, 3


def print_whole(console: Console, table: Table) -> None:
    """Print a table no narrower than its longest words: the terminal may wrap a line, but no number is cut."""
    width = console.width
    try:
        console.width = WIDEST
        for column in table.columns:
            cells = [column.header, *column.cells]
            column.min_width = max(Measurement.get(console, console.options, cell).minimum for cell in cells)
        console.width = max(width, console.measure(table).minimum + BORDERS * len(table.columns))
        console.print(table)
    finally:
        console.width = width
