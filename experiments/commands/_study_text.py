"""The study that a command is given: a file's or a shipped one's text, checked, with its data's folder whole."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import StudyError
from common.extras import demand
from common.files import access as files
from common.study.plugins import ANYTHING, Trust
from common.study.spelling import nearest, unknown

if TYPE_CHECKING:
    from common.study.study import Study

STUDIES = Path(__file__).parents[1] / "studies"
MOST_NAMED = 8
NOT_OURS = Trust(
    remedy="A run folder may come from anybody; reading it runs no code: add --trust-code if you know who made it."
)
TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", help="Run the plug-ins that the folder's study names: code of whoever made it."),
]


def code_of_folder(trusted: bool) -> Trust:
    """What a command that reads a run folder may import: plug-ins where its user says so."""
    return ANYTHING if trusted else NOT_OURS


@dataclass(frozen=True)
class Asked:
    """A study as it runs on this machine, its name, and what was changed for that, in sentences."""

    study: Study
    name: str
    remarks: tuple[str, ...]


def asked_study(study: str, overrides: Sequence[str] | None) -> Asked:
    """The study of an argument, checked. Raises StudyError."""
    text, name = read_study(study)

    from common.study.study import keys_of, parse
    from experiments.places import with_whole_folder, with_whole_network, with_whole_start
    from experiments.running.few_hospitals import with_readable_updates
    from experiments.start_elsewhere import remark_on_start

    beside = Path(study).parent if is_file_name(study) else None
    parsed = with_whole_folder(parse(text, overrides or (), beside), Path(study))
    whole = with_whole_network(with_whole_start(parsed, beside), beside)
    if whole.engine == "simulation":
        demand("engine 'simulation'", "ray")
    found, remark = with_readable_updates(whole, keys_of(text, overrides or ()))
    return Asked(found, name, tuple(one for one in (remark, remark_on_start(found)) if one))


def read_study(study: str) -> tuple[str, str]:
    """Text and name of a study: a TOML file's path, or a shipped study's name. Raises StudyError."""
    path = Path(study)
    shipped = {shipped.stem: shipped for shipped in STUDIES.glob("*.toml")}
    if study in shipped:
        return shipped[study].read_text(encoding="utf-8"), study
    if is_file_name(study):
        if not path.exists():
            raise StudyError(_absent(path, shipped))
        return valid(files.read_all_text(path), path), path.stem
    if path.is_dir():
        raise StudyError(f"{study} is a folder; name a study's file. {_found_in(path)}")
    if path.exists() or len(path.parts) > 1:
        raise StudyError(
            f"{study} is no study: it is a TOML file, whose name ends in .toml. {_found_in(path.parent)}"
        )
    raise unknown("study", study, shipped)


def is_file_name(study: str) -> bool:
    """Whether the argument names a file, and no shipped study."""
    return Path(study).suffix.lower() == ".toml"


def _absent(path: Path, shipped: Collection[str]) -> str:
    if path.stem in shipped and len(path.parts) == 1:
        return f"there is no file {path}; the shipped study is named without an ending: {path.stem}"
    if not path.parent.is_dir():
        return f"there is no file {path}, nor a folder {path.parent}."
    near = nearest(path.name, [one.name for one in path.parent.glob("*.toml")])
    return (
        f"there is no file {path}; did you mean {str(path.with_name(near))!r}?"
        if near
        else (f"there is no file {path}. {_found_in(path.parent)}")
    )


def _found_in(folder: Path) -> str:
    found = sorted(one.name for one in folder.glob("*.toml"))
    if not found:
        return f"There is none in {folder.absolute()}; shipped studies are listed by: wardround list studies"
    return f"In {folder.absolute()} there are: {', '.join(found[:MOST_NAMED])}" + ", ..." * (len(found) > MOST_NAMED)


def valid(text: str, path: Path) -> str:
    """The text, if it is TOML. Raises StudyError that names the file, the line and the column."""
    if not text.strip():
        raise StudyError(f"{path} is empty.")
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path} is not valid TOML: {str(error)[:200]}") from error
    return text
