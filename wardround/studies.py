"""A study from whatever a person has: a file, a shipped study's name, settings in code, one's own classes."""

from __future__ import annotations

import dataclasses
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from common.errors import StudyError
from common.study.options import Entry, options_of
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study, keys_of, parse
from experiments.commands._study_text import is_file_name, read_study
from experiments.places import with_whole_folder
from experiments.running.few_hospitals import with_readable_updates

TABLES = ("training", "split", "federation", "baselines", "audit")
"""Of a study, that are no entries."""
OURS = ("common", "client", "server", "experiments")


@dataclass(frozen=True)
class Chosen:
    """A checked study.

    Attributes:
        study: all of its settings.
        name: what to call it.
        remarks: what was changed so that it runs here, in sentences.
    """

    study: Study
    name: str
    remarks: tuple[str, ...]


def study(given: Study | str | Path | None = None, /, **settings: Any) -> Study:
    """A study, checked whole.

        wardround.study("heart", rounds=5, training={"epochs": 2})
        wardround.study(title="Mine", source={"name": "npz", "folder": "data"}, task="classification")

    Args:
        given: a TOML file, a shipped study's name, or a Study; none where `settings` say all.
        settings: what a study's file would say, by its first word. A table adds to the table that is there; None
            takes a setting out. Where an entry is named, an own class or an object of it may stand: its module, or
            its file, is then named, and its fields are its options.

    Raises:
        StudyError: names the setting, what it must be, and what came.
    """
    return chosen(given, settings).study


def chosen(given: Study | str | Path | None, settings: Mapping[str, Any]) -> Chosen:
    """As `study`, with what to call it and what was changed so that it runs here.

    Args:
        given: as of `study`.
        settings: as of `study`, by name.

    Returns:
        The study, its name, and remarks.

    Raises:
        StudyError: as `study`.
    """
    table, name, beside = _read(given)
    for key, value in settings.items():
        _put(table, key, _plain(value, key))
    text = tomli_w.dumps(table)
    with trusting(ANYTHING):
        whole = with_whole_folder(parse(text, (), beside), None if beside is None else beside / "study.toml")
        found, remark = with_readable_updates(whole, keys_of(text))
    return Chosen(found, name, (remark,) if remark else ())


def _read(given: Study | str | Path | None) -> tuple[dict[str, Any], str, Path | None]:
    if given is None:
        return {}, "study", None
    if isinstance(given, Study):
        return tomllib.loads(given.text), "study", None
    text, name = read_study(str(given))
    return tomllib.loads(text), name, Path(given).resolve().parent if is_file_name(str(given)) else None


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    """A table without a name of its own adds to what is there; an entry's bare name is its table's name."""
    if value is None:
        table.pop(key, None)
        return
    held = table.get(key)
    if not isinstance(value, dict) or held is None or "name" in value:
        table[key] = value
        return
    inner = {"name": held} if isinstance(held, str) else held
    if not isinstance(inner, dict):
        raise StudyError(f"{key} is {held!r} in the study, no table that {value!r} could add to.")
    table[key] = dict(inner)
    for name, one in value.items():
        _put(table[key], name, one)


def _plain(value: Any, where: str) -> Any:
    """As TOML has it: numbers of NumPy, paths, classes and objects of entries too."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one, f"{where}.{key}") for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(one, where) for one in value]
    return _entry(value, where)


def _entry(value: Any, where: str) -> Any:
    cls = value if isinstance(value, type) else type(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = options_of(cls).items()
        options = {name: _plain(getattr(value, field.name), f"{where}.{name}") for name, field in fields}
        if cls is Entry or where in TABLES:
            return _unwrapped(options)
        return {"name": _reference(cls, where), **{key: one for key, one in options.items() if one is not None}}
    if callable(value):
        return _reference(value if not isinstance(value, type) and hasattr(value, "__qualname__") else cls, where)
    raise StudyError(f"{where} cannot be {value!r}: a study holds words, numbers, lists, tables, and entries.")


def _unwrapped(options: dict[str, Any]) -> dict[str, Any]:
    """Of an Entry its name beside its options."""
    if set(options) == {"name", "options"}:
        return {"name": options["name"], **options["options"]}
    return {key: one for key, one in options.items() if one is not None}


def _reference(value: Any, where: str) -> str:
    """How every process of this machine finds a class or function: one of ours by name, else its module or file."""
    module, name = str(value.__module__), str(value.__qualname__)
    if module.partition(".")[0] in OURS:
        return module.rpartition(".")[2]
    if "." in name or name == "<lambda>":
        raise StudyError(f"{where}: {name} stands inside of something; put it at the top of a file of its own.")
    if module != "__main__":
        return f"{module}:{name}"
    file = getattr(sys.modules["__main__"], "__file__", None)
    if file is None:
        raise StudyError(
            f"{where}: {name} exists in this session alone, and hospitals run in processes of their own: write it to "
            f"a file (in a notebook: %%writefile own.py) and name it 'own.py:{name}'."
        )
    return f"{Path(file).resolve()}:{name}"
