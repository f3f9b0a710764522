"""An audit's copy for the file: page without patients' pictures, figures, PDF, and a signed statement over all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.errors import FileError, StudyError
from common.files import access as files
from common.study.study import Study
from common.sums.identity import KEY_FILE, read_key
from experiments.audit.dossier.marks import marks_of_data, marks_of_program, marks_of_run, marks_of_study
from experiments.audit.dossier.packed import files_of, write_zip
from experiments.audit.dossier.printing import pdf_of
from experiments.audit.dossier.statement import FILE, FORMAT, WHAT, Statement, fingerprint_of, read_statement
from experiments.audit.dossier.verifying import FOLDER, verify
from experiments.audit.records import Report
from experiments.audit.report.page import SCHEMA, json_of, page_of, without_pictures


@dataclass(frozen=True)
class Signer:
    """key: who signs with it. party: whose it is said to be, "" for nobody."""

    key: Ed25519PrivateKey
    party: str = ""

    @property
    def fingerprint(self) -> str:
        """To be told by telephone."""
        return fingerprint_of(self.key.public_key().public_bytes_raw())


@dataclass(frozen=True)
class Filing:
    """pdf: whether a PDF is made. signer: None: nobody signs. packed: a zip file to write as well."""

    pdf: bool = False
    signer: Signer | None = None
    packed: Path | None = None


def signer_of(folder: Path, party: str) -> Signer:
    """From a folder with `identity.key`. Raises FileError where there is none, and says how one is made."""
    if not files.is_there(folder, KEY_FILE):
        raise FileError(folder, f"holds no {KEY_FILE}; make a key with: wardround audit key {folder}")
    return Signer(read_key(folder), party)


def sign_dossier(place: Path, signer: Signer, packed: Path | None = None) -> Path:
    """Put a signature under a dossier's folder, as it lies there or in a run's folder; the folder.

    Raises StudyError where it is not as it was written: nobody signs what was changed.
    """
    if not files.is_there(place, FILE) and files.is_there(place, FOLDER):
        place = place / FOLDER
    if not place.is_dir():
        raise FileError(place, "is no folder: unpack the dossier, and sign the folder")
    if not (found := verify(place)).whole:
        wrong = next(one.sentence for one in found.findings if one.holds is False)
        raise StudyError(f"{place} is not as it was written, and was not signed: {wrong}")
    content = files_of(place)
    content[FILE] = read_statement(content[FILE]).closed(signer.key, signer.party).text.encode()
    files.write(place, FILE, content[FILE])
    if packed is not None:
        write_zip(content, packed)
    return place


def file_dossier(report: Report, run: Path, study: Study, filing: Filing) -> Path:
    """Write the dossier into the run's folder, in the place of an older one; its folder."""
    page = page_of(without_pictures(report))
    content = {"audit.html": page.encode(), "audit.json": json_of(report).encode(), SCHEMA.name: SCHEMA.read_bytes()}
    if filing.pdf:
        content["audit.pdf"] = pdf_of(page)
    statement = Statement(
        WHAT,
        FORMAT,
        datetime.now(UTC).isoformat(timespec="seconds"),
        {name: sha256(data).hexdigest() for name, data in content.items()},
        marks_of_run(run, report.model_sha256),
        marks_of_study(study),
        marks_of_program(),
        marks_of_data(run),
    )
    signer = filing.signer
    closed = statement.closed() if signer is None else statement.closed(signer.key, signer.party)
    content[FILE] = closed.text.encode()
    for name in files.names(run, FOLDER):
        files.remove(run, f"{FOLDER}/{name}")
    for name, data in content.items():
        files.write(run, f"{FOLDER}/{name}", data)
    if filing.packed is not None:
        write_zip(content, filing.packed)
    return run / FOLDER
