"""`wardround audit verify`: whether a dossier is as it was written, whom it is signed by, and what it still fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from common.errors import FileError, StudyError
from common.files.access import is_there
from common.files.json_files import json_of, read_table
from experiments.audit.dossier.marks import RUN_FILES, digest_of_file, marks_of_program, messages_digest
from experiments.audit.dossier.packed import files_of
from experiments.audit.dossier.statement import FILE, Statement, read_statement
from server.reporting.markup import in_a_line

LONGEST = 2000
FOLDER = "dossier"
"""Of the dossier in a run's folder."""
PAGE, FIGURES = "audit.html", "audit.json"
FINGERPRINT_DIGITS = 32


@dataclass(frozen=True)
class Finding:
    """holds: whether it is as it was; None: what could not be asked, which is no objection. sentence: in one line,
    whatever a stranger wrote into the dossier."""

    holds: bool | None
    sentence: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentence", in_a_line(self.sentence[:LONGEST]))


@dataclass(frozen=True)
class Verified:
    """findings, the objections first as they come; fingerprint: of the key that signed, "" where nobody did."""

    findings: tuple[Finding, ...]
    fingerprint: str = ""

    @property
    def sentence(self) -> str:
        """What it comes to, for a person."""
        if not self.whole:
            return "This dossier does not pass: the lines with ✕ say why. Ask whoever sent it for another."
        if not self.fingerprint:
            return (
                "Nothing differs. As nobody signed, that shows only that its parts fit each other, not who made it."
            )
        return "The dossier is whole: nothing differs from what was signed."

    @property
    def whole(self) -> bool:
        """Whether nothing differs."""
        return all(one.holds is not False for one in self.findings)


def verify(place: Path, run: Path | None = None, expected: str | None = None) -> Verified:
    """place: a dossier, folder or zip file, or a run's folder that holds one. run: to compare with.

    expected: fingerprint of the key that should have signed, None where nobody says. Raises FileError where there is
    nothing to read.
    """
    beside = place.parent if place.name == FOLDER and is_there(place.parent, "about.json") else None
    if place.is_dir() and not is_there(place, FILE) and is_there(place, FOLDER):
        place, beside = place / FOLDER, place
    files = files_of(place)
    if FILE not in files:
        raise FileError(place, f"is no dossier: it holds no {FILE}")
    try:
        statement = read_statement(files[FILE])
    except StudyError as error:
        return Verified((Finding(False, str(error)),))
    findings = [*_statement(statement, expected), *_files(statement, files), *_figures(statement, files)]
    findings += _run(statement, run or beside)
    return Verified(tuple(findings), statement.fingerprint if findings[1].holds else "")


def _statement(statement: Statement, expected: str | None) -> Iterator[Finding]:
    same = statement.digest == statement.own_digest
    yield Finding(same, f"{FILE} {'is as it was made' if same else 'was changed after it was made'}.")
    fault = statement.signature_fault()
    if not statement.key and fault is None:
        missed = ", and a signature was expected" if expected else ""
        words = f"Nobody signed{missed}: whoever changes an unsigned dossier can make its digests anew."
        yield Finding(None if expected is None else False, words)
    elif fault is not None:
        yield Finding(False, f"{fault[0].upper()}{fault[1:]}.")
    else:
        yield _signer(statement, expected)


def _signer(statement: Statement, expected: str | None) -> Finding:
    who = f", said to be {statement.party}'s" if statement.party else ""
    words = f"It is signed by the key {statement.fingerprint}{who}"
    if expected is not None and _digits(expected) != _digits(statement.fingerprint):
        return Finding(False, f"{words}, and not by the one that was expected.")
    compare = ", as expected." if expected is not None else ": compare these digits with the signer, by telephone."
    return Finding(True, f"{words}{compare}")


def _files(statement: Statement, files: Mapping[str, bytes]) -> Iterator[Finding]:
    for name, digest in statement.files.items():
        if name not in files:
            yield Finding(False, f"{name} is missing.")
        else:
            same = sha256(files[name]).hexdigest() == digest
            yield Finding(same, f"{name} {'is as it was written' if same else 'is not as it was written'}.")
    for name in sorted(set(files) - {FILE, *statement.files}):
        yield Finding(False, f"{name[:80]} is not of this dossier.")


def _figures(statement: Statement, files: Mapping[str, bytes]) -> Iterator[Finding]:
    """The figures for machines keep to the schema of their version, and are of the same run."""
    from experiments.audit.dossier.schema import fault_of

    if PAGE not in statement.files:
        yield Finding(False, f"{PAGE}, the page that is read, is not of this dossier.")
    if FIGURES not in statement.files or FIGURES not in files:
        yield Finding(False, f"{FIGURES}, the figures, is not of this dossier.")
        return
    try:
        figures = json_of(files[FIGURES], Path(FIGURES))
    except FileError as error:
        yield Finding(False, f"{error}.")
        return
    fault = fault_of(figures)
    yield Finding(fault is None, f"{FIGURES} {fault or 'keeps to the published schema'}.")
    if fault is None:
        yield from _same_run(statement, figures)


def _same_run(statement: Statement, figures: Mapping[str, Any]) -> Iterator[Finding]:
    told = (figures["run"], figures["model_sha256"], figures["title"])
    same = told == (statement.run.name, statement.run.model_sha256, statement.study.title)
    yield Finding(
        same, f"{FIGURES} is of {'the run that the dossier names' if same else 'another run than the dossier'}."
    )


def _run(statement: Statement, run: Path | None) -> Iterator[Finding]:
    if run is None:
        yield Finding(None, f"The run {statement.run.name} was not compared: name its folder with --run.")
        return
    if str(read_table(run, "run.json").get("run", "")) != statement.run.id:
        yield Finding(False, f"{run} is another run than the one that was audited.")
        return
    if strange := sorted(set(statement.run.files) - set(RUN_FILES)):
        yield Finding(False, f"It names {strange[0][:80]!r}, which is no file of a run.")
        return
    for name in sorted({*statement.run.files, *(name for name in RUN_FILES if is_there(run, name))}):
        yield _run_file(statement, run, name)
    if statement.run.messages:
        same = messages_digest(run) == statement.run.messages
        yield Finding(same, f"The recorded messages are {'those' if same else 'not those'} that were attacked.")
    yield from _copies(statement, run)
    now = marks_of_program()
    same_program = now.audit == statement.program.audit and now.digest == statement.program.digest
    words = "is the one that made the dossier" if same_program else "is another: figures made again may differ"
    yield Finding(True if same_program else None, f"The program installed here {words}.")


def _copies(statement: Statement, run: Path) -> Iterator[Finding]:
    """Of page and figures that lie in the run's folder too, where they are first looked for."""
    for name in (PAGE, FIGURES):
        if is_there(run, name) and statement.files.get(name) != digest_of_file(run, name):
            words = f"{name} in {run} is not what was signed: read the one in the dossier."
            yield Finding(None if name == PAGE else False, words)


def _run_file(statement: Statement, run: Path, name: str) -> Finding:
    if name not in statement.run.files:
        return Finding(False, f"{name} of the run came after the dossier was made.")
    if not is_there(run, name):
        return Finding(False, f"{name} of the run is missing.")
    same = digest_of_file(run, name) == statement.run.files[name]
    return Finding(same, f"{name} of the run is {'as it was audited' if same else 'not as it was audited'}.")


def whole_fingerprint(text: str | None) -> str | None:
    """As somebody typed it. Raises StudyError for a part of one, which another key could have as well."""
    if text is not None and len(_digits(text)) != FINGERPRINT_DIGITS:
        raise StudyError(
            f"--signer takes all {FINGERPRINT_DIGITS} digits of a key, as `wardround audit key` prints them; "
            f"{len(_digits(text))} came."
        )
    return text


def _digits(text: str) -> str:
    return "".join(one for one in text if one.isascii() and one.isdigit())
