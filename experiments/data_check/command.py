"""`wardround data check`: reads a folder, shows what it holds and what is wrong, writes what is asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from common.errors import SourceError
from common.files.access import write_to
from common.study.study import Study
from experiments.data_check.checked import Checked, checked
from experiments.data_check.gather import gathered
from experiments.data_check.page import page_of
from experiments.data_check.reading import Reading, reading_of
from experiments.data_check.screen import show


@dataclass
class _Now:
    """The stream that is being read."""

    name: str = ""
    files: int = 0
    done: int = -1


def check_data(
    study: Study,
    name: str,
    console: Console,
    folder: Path | None = None,
    site: str | None = None,
    page: Path | None = None,
    json_file: Path | None = None,
) -> bool:
    """Whether no error was found. folder: a hospital's own. site: one hospital alone.

    Raises SourceError where the data are absent, StudyError where the study does not say whose they are.
    """
    if folder is not None and not folder.expanduser().is_dir():
        raise SourceError(f"there is no folder {folder}: --folder names the one that holds the hospital's data.")
    own = None if folder is None else str(folder.expanduser().absolute())
    found = check(reading_of(study, own, site), name, console)
    if page is not None:
        write_to(page, page_of(found))
    if json_file is not None:
        write_to(json_file, json.dumps(found.table(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    show(found, console, page)
    return found.may_train


def check(reading: Reading, name: str, console: Console) -> Checked:
    """Read everything once and judge it."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("reading", total=len(reading.streams))
        streams = iter(reading.streams)
        streams, now = iter(reading.streams), _Now()

        def begun(files: int) -> None:
            now.name, now.files, now.done = next(streams).name, files, now.done + 1
            told(0)

        def told(cases: int) -> None:
            of = f" from {now.files:,} files" if now.files else ""
            words = f"{escape(now.name[:40])}: {cases:,} cases{of}"
            total = len(reading.streams) if len(reading.streams) > 1 else None
            progress.update(bar, description=words, completed=now.done, total=total)

        holdings = gathered(reading, told, begun)
    folder = str(reading.study.source.options.get("folder") or "the source's own place")
    return checked(reading.study, name, folder, holdings, reading.is_own)
