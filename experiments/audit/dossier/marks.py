"""What a dossier is bound to: digests of a run's files, of its messages, its study, the program and the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from client.approved_studies import digest_of as approved_digest
from common.files.access import is_there, names, open_inside
from common.files.json_files import read_table
from common.study.program import digest_of, this_program
from common.study.study import Study
from experiments.audit.dossier.statement import ProgramMarks, RunMarks, SiteMarks, StudyMarks

RUN_FILES = (
    "about.json",
    "charged.jsonl",
    "final.json",
    "model.safetensors",
    "privacy.json",
    "roster.json",
    "rounds.jsonl",
    "run.json",
    "study.toml",
    "summary.json",
    "traffic.json",
)
MESSAGES = "traffic"
PACKAGES_ROOT = Path(__file__).parents[3]
AUDITING = ("experiments", "server")
_PIECE = 1 << 20


def marks_of_run(folder: Path, model_sha256: str) -> RunMarks:
    """As the run lies there now."""
    files = {name: digest_of_file(folder, name) for name in RUN_FILES if is_there(folder, name)}
    word = str(read_table(folder, "run.json").get("run", ""))
    return RunMarks(folder.resolve().name, word, model_sha256, files, messages_digest(folder))


def marks_of_study(study: Study) -> StudyMarks:
    """By the digest that hospitals approve."""
    return StudyMarks(study.title, approved_digest(study.json))


def marks_of_program() -> ProgramMarks:
    """Of what runs here now."""
    program = this_program()
    audit = digest_of({name: PACKAGES_ROOT / name for name in AUDITING}, program.packages)
    return ProgramMarks(program.digest, program.version, audit, dict(program.packages))


def marks_of_data(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """By hospital, as the coordinator recorded what each said of itself; "" where it did not."""
    kept = read_table(folder, "run.json")
    splits, programs = (_words(kept.get(key)) for key in ("data", "programs"))
    return {
        site: asdict(SiteMarks(splits.get(site, ""), programs.get(site, ""))) for site in sorted({*splits, *programs})
    }


def digest_of_file(folder: Path, name: str) -> str:
    """SHA-256 of a file below a folder, read piece by piece."""
    found = sha256()
    with open_inside(folder, name) as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def messages_digest(folder: Path) -> str:
    """SHA-256 over name and digest of every recorded message; "" where none was kept."""
    if not is_there(folder, MESSAGES):
        return ""
    found = sha256()
    for name in sorted(_files(folder, MESSAGES)):
        found.update(f"{name} {digest_of_file(folder, name)}\n".encode())
    return found.hexdigest()


def _files(folder: Path, place: str) -> Iterator[str]:
    for name in names(folder, place):
        inner = f"{place}/{name}"
        if (folder / inner).is_dir() and not (folder / inner).is_symlink():
            yield from _files(folder, inner)
        else:
            yield inner


def _words(value: Any) -> dict[str, str]:
    return {str(key): str(word) for key, word in value.items()} if isinstance(value, Mapping) else {}
