"""`wardround audit`: attack a finished run and report, or run a study under every protection and compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from common.errors import StudyError
from common.files.access import is_there, read_text
from common.study.study import Study, parse
from experiments.audit.conduct import Advance, Effort, audit_run
from experiments.audit.dossier.writing import Filing, file_dossier
from experiments.audit.matrix import audit_matrix
from experiments.audit.records import FAILED, Report
from experiments.audit.report.headline import opening_sentence
from experiments.audit.report.page import write
from experiments.audit.report.words import LIGHTS, overall
from server.reporting.markup import in_a_line


def recorded(study: Study) -> Study:
    """The study with its traffic recorded, which an audit needs."""
    return replace(study, federation=replace(study.federation, record_traffic=True))


def audit(folder: Path, effort: Effort, console: Console, filing: Filing) -> None:
    """Attack the run in `folder`, print the verdict, write report and dossier, and say where they are.

    Raises StudyError, when all is written, where something that was named for this audit failed.
    """
    if not is_there(folder, "study.toml"):
        raise StudyError(f"{folder} holds no study.toml: it is not a run folder.")
    with _watched(console) as advance:
        report = audit_run(folder, effort, advance)
    path = write(report, folder)
    place = file_dossier(report, folder, parse(read_text(folder, "study.toml")), filing)
    _say(report, console)
    signed = "nobody signed" if filing.signer is None else f"signed by {filing.signer.fingerprint}"
    console.print(f"Dossier: {place.resolve()} ({signed})", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report: {path.resolve()}", markup=False, highlight=False, soft_wrap=True)
    if failed := _named_and_failed(report, effort):
        raise StudyError(f"{' '.join(failed)} The report is written, and says so: it proves nothing of these.")


def audit_protections(study: Study, name: str, folder: Path, effort: Effort, console: Console) -> Path:
    """Run `study` under each protection, attack every run; the path of `matrix.html`."""
    with _watched(console) as advance:
        return audit_matrix(recorded(study), name, folder, effort, advance)


def _say(report: Report, console: Console) -> None:
    for verdict in report.verdicts:
        word, _, sign = LIGHTS[verdict.light]
        console.print(f"{sign} {in_a_line(verdict.site)}: {word}", markup=False, highlight=False)
    console.print(f"{LIGHTS[overall(report)][0]}. {opening_sentence(report)}", markup=False, highlight=False)


def _named_and_failed(report: Report, effort: Effort) -> list[str]:
    """A sentence each: whoever names an attack wants to know what it finds, and a failure is no finding."""
    named = {*effort.named, *((one.kind, one.name) for one in report.plugins)}
    failed = [
        f"{kind} {name!r}: {trial.reason}."
        for trial in report.trials
        if trial.settings.get(FAILED)
        for kind, name in (("attack", trial.attack), ("question", trial.kind), ("adversary", trial.observer))
        if (kind, name) in named
    ]
    return list(dict.fromkeys(failed))


@contextmanager
def _watched(console: Console) -> Iterator[Advance]:
    """A bar that says what is being tried; how many attempts there will be is not known, so it only moves."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("audit", total=None)

        def advance(words: str) -> None:
            progress.update(task, description=words[:60].ljust(60))

        yield advance
