"""`wardround privacy ledger`: what every study has spent on a hospital's patients, and whether the ledger is whole.

What cannot be noticed here: an older copy of the ledger and its head put back together, or the whole folder as it was
before the first charge; entries of somebody who can read the key; the newest entry gone, where a crash had kept the
head from naming it; and studies without a privacy mechanism, which cost without bound and are
charged nowhere. The figures are the hospital's own: whoever learns them learns that patients took part in studies.
"""

from __future__ import annotations

import json
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from client._ledger_file import FILE, HEAD_FILE, KEY_FILE, trace
from common.errors import LedgerError, StudyError
from common.files.access import is_there, write_to
from common.privacy.relation import OF_LEDGERS
from experiments.hospital.ledger_summary import Summary, summary_of
from experiments.whole_tables import print_whole
from server.reporting.markup import visible
from server.reporting.records import Beside
from server.reporting.sections.promise import beside_sentences
from server.reporting.wording import score

UNNOTICED = (
    "What this cannot notice: an older copy of the ledger put back together with its head, or the whole folder as it "
    "was before the first charge. Write down elsewhere that entry {number} is sealed {seal}: a later ledger has it."
)
WITNESS_DIGITS = 16
LONGEST_TITLE = 80
SHOWN_DIGITS = 8
WORD_WIDTH = len("hospital")


def show_ledgers(folder: Path, console: Console, json_file: Path | None) -> bool:
    """Print the ledger of a hospital's folder, or of every hospital of a run; True where all found are whole.

    Raises StudyError where there is none, and for an impossible limit.
    """
    found: dict[str, Summary | str] = {}
    for site, place in _places(folder).items():
        if not _has_ledger(place):
            _say(console, f"{site}: no ledger. Nothing was ever charged, or all its files are gone.")
            continue
        try:
            found[site] = summary_of(place)
        except LedgerError as error:
            found[site] = str(error)
        _show(site, found[site], console)
    if json_file is not None:
        sites = {site: one.json() if isinstance(one, Summary) else {"fault": one} for site, one in found.items()}
        write_to(json_file, json.dumps(sites, indent=1, allow_nan=False) + "\n")
    return all(isinstance(one, Summary) and one.fault is None for one in found.values())


def _places(folder: Path) -> dict[str, Path]:
    """Hospitals' folders by name, at least one with a ledger."""
    if not folder.is_dir():
        raise StudyError(f"there is no folder {folder}.")
    if _has_ledger(folder):
        return {folder.resolve().name: folder}
    hospitals = folder / "hospitals"
    inside = sorted(hospitals.iterdir()) if hospitals.is_dir() else []
    places = {place.name: place for place in inside if place.is_dir()}
    if not any(map(_has_ledger, places.values())):
        raise StudyError(
            f"{folder} holds no privacy ledger, nor does a folder under {hospitals}. A hospital's folder gets one "
            "when a study with a privacy mechanism first charges it; other studies are not charged."
        )
    return places


def _has_ledger(folder: Path) -> bool:
    """Any of its files: a ledger that lost some must be told, not passed over."""
    return any(is_there(folder, name) for name in (FILE, KEY_FILE, HEAD_FILE)) or bool(trace(folder))


def _show(site: str, found: Summary | str, console: Console) -> None:
    if isinstance(found, str):
        _say(console, f"{site}: {found}", "bold red")
        return
    print_whole(console, _table(site, found))
    for sentence in sentences(found):
        _say(console, sentence)
    if found.fault is None:
        _say(console, f"The chain of {found.entries:,} entries is whole.", "green")
        _say(console, UNNOTICED.format(number=found.entries, seal=found.last[:WITNESS_DIGITS]))
    else:
        text = f"The chain is broken: {found.fault}. Only the {found.entries:,} entries before are counted above."
        _say(console, text, "bold red")


def _table(site: str, summary: Summary) -> Table:
    """One line a study and unit."""
    shown = Table(title=Text(_safe(site)), title_justify="left", box=SIMPLE_HEAD, padding=0)
    shown.add_column("study", overflow="fold")
    for column in ("digest", "hides one"):
        shown.add_column(column, min_width=WORD_WIDTH)
    for column in ("rounds charged", "charges", "patients", "epsilon", "delta", "refusals"):
        shown.add_column(column, justify="right", min_width=max(map(len, column.split())))
    for one in summary.studies:
        shown.add_row(
            Text(_safe(one.title)[:LONGEST_TITLE]),
            one.study[:SHOWN_DIGITS],
            one.unit,
            f"{one.rounds:,}",
            f"{one.charges:,}",
            f"{one.patients:,}",
            score(one.epsilon),
            f"{one.delta:g}",
            f"{one.refusals:,}",
        )
    return shown


def sentences(summary: Summary) -> list[str]:
    """What was spent, between which data, and what is left."""
    if summary.epsilon is None:
        return ["Nothing was charged, and the hospital sets no limit."]
    spent = f"Over all studies the most-spent patient has spent epsilon {score(summary.epsilon)}"
    of = f"{summary.most_spent:,} of the {summary.patients:,} patients charged"
    sentences = [f"{spent} at delta {summary.delta:g}: {of}." if summary.patients else "No patient was charged."]
    sentences += _beside(summary)
    if summary.limit is None or summary.left is None:
        return [*sentences, "The hospital sets no limit: everything is recorded and nothing stopped."]
    limit = f"The hospital's limit is epsilon {score(summary.limit.epsilon)} at delta {summary.limit.delta:g}"
    left = f"{score(summary.left)} is left" if summary.left >= 0 else f"it is passed by {score(-summary.left)}"
    return [*sentences, f"{limit}; {left}."]


def _beside(summary: Summary) -> list[str]:
    """What epsilon is about, and what it is where more than one patient's presence is asked about."""
    if not summary.patients:
        return []
    others = Beside("", summary.exchanged, summary.together)
    return [OF_LEDGERS, *beside_sentences(others, "patient", summary.delta)]


def _say(console: Console, text: str, style: str | None = None) -> None:
    console.print(_safe(text), style=style, markup=False, highlight=False, soft_wrap=True)


def _safe(text: str) -> str:
    """On one line, without what a terminal would obey instead of show."""
    return " ".join(visible(text).split())
