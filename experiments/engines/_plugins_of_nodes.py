"""Plug-ins for nodes on this machine, which import no file by its path: files become modules of the run's own folder.

The run's folder keeps them, `plugins/own.py`, so that the study it holds can be read, and the run resumed, without
the place they came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tomli_w

from client.policy import POLICY_FILE
from common.errors import StudyError
from common.files.access import create, is_there, private_folder, read, write
from common.study.plugin_files import Files
from common.study.plugins import Reference
from common.study.study import NAMING, Study
from experiments.places import PLUGINS


@dataclass(frozen=True)
class Travelling:
    """A study as nodes get it. json, text: with modules in the place of files. plugins: their digests. folder: of
    the modules; None where there are none."""

    json: str
    text: str
    plugins: Mapping[str, str]
    folder: Path | None = None


def travelling(study: Study, run_folder: Path) -> Travelling:
    """The study, with the files that it names copied into the run's folder; of a run that goes on they are there.

    Raises StudyError where the name of one is taken by another module, so that nodes would import that.
    """
    table = json.loads(study.json)
    named = {place: found for place in study.plugins if (found := Reference.of(place)) is not None and found.is_file}
    if not named:
        kept = run_folder / PLUGINS
        return _travelling(table, kept if study.plugins and kept.is_dir() else None)
    place = private_folder(run_folder / PLUGINS)
    modules: dict[str, str] = {}
    for path, reference in named.items():
        files = reference.files()
        modules[path] = _module_name(files)
        _copy(files, place)
    renamed = {key: _renamed(value, modules) if key in NAMING else value for key, value in table.items()}
    renamed["plugins"] = {modules.get(path, path): digest for path, digest in table["plugins"].items()}
    return _travelling(renamed, place)


def allow(plugins: Mapping[str, str], hospital: Path) -> None:
    """The hospitals of this run are the researcher's own: their policy lists what an administrator would, by digest.

    A policy that is there already, as of a run that goes on, stays as it is.
    """
    if plugins and not is_there(hospital, POLICY_FILE):
        write(hospital, POLICY_FILE, tomli_w.dumps({"plugins": dict(plugins)}))


def _travelling(table: Mapping[str, Any], folder: Path | None) -> Travelling:
    return Travelling(json.dumps(table, sort_keys=True), tomli_w.dumps(table), table.get("plugins", {}), folder)


def _module_name(files: Files) -> str:
    """The name by which nodes import the file. Raises StudyError where that would be, or hide, another module."""
    tops = {files.path.stem, *(name.partition(".")[0] for name in files.modules)}
    for top in sorted(tops):
        if not top.isidentifier():
            raise StudyError(f"a node imports {files.path} as a module: its name must be a word, as own_model.py.")
        taken = _taken_by(top, files.path.parent)
        if taken:
            raise StudyError(
                f"a node imports {files.path} and what it needs as modules, and {top!r} is already {taken}: rename "
                "it."
            )
    return files.path.stem


def _taken_by(top: str, folder: Path) -> str:
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return "a module"
    places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
    elsewhere = [one for one in places if one and not Path(one).is_relative_to(folder)]
    return elsewhere[0] if elsewhere else ""


def _copy(files: Files, place: Path) -> None:
    for name, code in {files.path.name: files.code, **files.others}.items():
        if not create(place, name, code) and read(place, name) != code:
            raise StudyError(f"two plug-ins of the study each have a file {name}: rename one.")


def _renamed(value: Any, modules: Mapping[str, str]) -> Any:
    """A module of one word ends with a colon where nothing of it is named."""
    if isinstance(value, str):
        found = Reference.of(value)
        known = found is not None and found.place in modules
        return f"{modules[found.place]}:{found.attribute}" if found is not None and known else value
    if isinstance(value, Mapping):
        return {key: _renamed(item, modules) for key, item in value.items()}
    return [_renamed(item, modules) for item in value] if isinstance(value, list) else value
