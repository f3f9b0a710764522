"""The command that writes an entry to begin from."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from common.errors import FileError, StudyError
from common.study.spelling import unknown
from experiments.commands._terminal import say, spoken_errors

TEMPLATES = Path(__file__).parents[1] / "templates"
USES = {
    "task": 'task = "{file}"',
    "network": 'task = {{ name = "classification", network = {{ name = "{file}", width = 64 }} }}',
    "loss": 'task = {{ name = "classification", loss = {{ name = "{file}", gamma = 3 }} }}',
    "augmentation": 'task = {{ name = "simclr", augmentation = {{ name = "{file}", strength = 0.3 }} }}',
    "corruption": "wardround withstand RUN --corruption {file}",
    "operator": 'source = {{ name = "acquired", images = "phantom", operators = ["{file}"] }}',
    "attribution": "wardround explain RUN --method {file}",
    "perturbation": 'task = {{ name = "adversarial", task = "classification", size = 0.03, attack = "{file}" }}',
    "recipe": 'task = {{ name = "adversarial", task = "classification", size = 0.03, recipe = "{file}" }}',
    "source": 'source = {{ name = "{file}", hospitals = 4 }}',
    "partition": 'partition = {{ name = "{file}", hospitals = 4 }}',
    "strategy": 'strategy = {{ name = "{file}", momentum = 0.9 }}',
    "mechanism": 'privacy = {{ name = "{file}", noise_multiplier = 1.5 }}',
    "analysis": "wardround ask STUDY {file} COLUMN",
    "aggregation": 'aggregation = {{ name = "{file}", decimals = 4 }}',
    "engine": 'engine = "{file}"',
    "attack": "wardround audit RUN --attack {file}",
    "question": "wardround audit RUN --question {file} --attack FILE",
    "adversary": "wardround audit RUN --adversary {file}",
    "benchmark": "wardround bench {file}",
}
"""How each kind is used: a line of a study, or a command."""


def new(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(USES)}.")],
    name: Annotated[str, typer.Argument(help="A word, which names the file and, as a class, what is in it.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; NAME.py here if not given.")] = None,
) -> None:
    """Write a whole, small entry of your own to begin from, and say how a study uses it and what tests it."""
    with spoken_errors():
        word = _checked_kind(kind)
        file = out or Path(f"{name}.py")
        _demand_name(word, name)
        _demand_file(file)
        _demand_free(word, name)
        _write(file, entry(word, name))
        use = USES[word].format(file=file)
        where = "Run:    " if USES[word].startswith("wardround ") else "Study:  "
        test = f"wardround test {file}"
        say([f"Wrote {file}.", f"{where}{use}", f"Test:   {test}"])


def entry(kind: str, name: str) -> str:
    """The text of a file with an entry of this kind and name."""
    return re.sub(r"\b[Mm]ine\b", lambda found: class_name(name) if found[0] == "Mine" else name, _template(kind))


def _template(kind: str) -> str:
    return (TEMPLATES / f"{kind}.py").read_text(encoding="utf-8")


def class_name(name: str) -> str:
    """`two_groups` as a class: TwoGroups."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _checked_kind(kind: str) -> str:
    word = kind.lower()
    found = next((one for one in USES if word in _forms(one)), None)
    if found is None:
        raise unknown("kind of entry", kind, USES)
    return found


def _forms(kind: str) -> tuple[str, ...]:
    """The kind's word, and that for several, as `wardround list` has it."""
    if kind.endswith("y"):
        return kind, f"{kind[:-1]}ies"
    if kind.endswith("sis"):
        return kind, f"{kind[:-2]}es"
    return kind, f"{kind}es" if kind.endswith("s") else f"{kind}s", f"{kind[:-2]}es"


def _demand_name(kind: str, name: str) -> None:
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or not name.strip("_"):
        raise StudyError(f"a name is a word of letters, digits and _, such as two_groups; it is {name!r}.")
    if {name, class_name(name)} & ({*re.findall(r"\w+", _template(kind))} | vars(builtins).keys()):
        raise StudyError(f"{name!r} is a word that the file needs for something else: choose another.")


def _demand_free(kind: str, name: str) -> None:
    """Neither the file nor the entry stands in the way of another."""
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        raise StudyError(f"{name!r} is the name of a module that a file of that name would hide: choose another.")
    from common.study import catalogue
    from experiments import catalogue as more

    kinds = (*vars(catalogue).values(), *vars(more).values())
    ours = next(one for one in kinds if isinstance(one, catalogue.Catalogue) and one.kind == kind)
    if ours.has(name):
        article = "an" if kind[0] in "aeiou" else "a"
        raise StudyError(f"there is already {article} {kind} {name!r}: choose another, so that a study says which.")


def _demand_file(file: Path) -> None:
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise FileError(file, "must be a Python file whose name is a word, such as two_groups.py")
    if file.exists():
        raise FileError(file, "is there already, and nothing is overwritten: name another with --out")
    if file.parent.exists() and not file.parent.is_dir():
        raise FileError(file, f"cannot be written: {file.parent} is no folder")


def _write(file: Path, text: str) -> None:
    """A new file; one that is there is never touched."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as error:
        raise FileError(file, "is there already, and nothing is overwritten") from error
    except OSError as error:
        raise FileError(file, f"cannot be written: {error.strerror}") from error
