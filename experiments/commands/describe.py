"""What an entry is and which options it has."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated, Any, get_args, get_type_hints

import typer

from common.study.catalogue import Catalogue
from common.study.plugins import ANYTHING, trusting
from common.study.spelling import unknown
from experiments.commands._terminal import console, say, spoken_errors
from experiments.commands.lists import KINDS, list_

STUDY, PROGRAM, POLICY = "study", "program", "policy"


def describe(
    kind: Annotated[
        str,
        typer.Argument(help="source, task, network, ..., as `wardround list` has them; or study, program, policy."),
    ],
    name: Annotated[
        str | None, typer.Argument(help="Of the entry; of study, a part of it (training, ...), or all if not given.")
    ] = None,
) -> None:
    """Say what an entry does, and every option with its type, default and meaning: describe source nifti."""
    with spoken_errors(), trusting(ANYTHING):
        if kind in (STUDY, "studies"):
            _describe_study(name)
            return
        if kind in (PROGRAM, POLICY):
            _describe_own(kind)
            return
        catalogue = _catalogue(kind)
        names = {_spelled(catalogue, one): one for one in catalogue.names()}
        if name is None:
            list_(next(title for title, one in KINDS.items() if one is catalogue))
            return
        asked = _spelled(catalogue, name)
        if catalogue.kind in ("benchmark", "engine") and asked not in names:
            raise unknown(catalogue.kind, name, names)
        if asked in names:
            say([f"{catalogue.kind} {asked}", catalogue.summary(names[asked]), ""])
        _describe(catalogue.load(names.get(asked, name)))


def _catalogue(kind: str) -> Catalogue:
    kinds = {catalogue.kind: catalogue for catalogue in KINDS.values()} | KINDS
    if kind not in kinds:
        raise unknown("kind", kind, [STUDY, PROGRAM, POLICY, *(catalogue.kind for catalogue in KINDS.values())])
    return kinds[kind]


def _spelled(catalogue: Catalogue, name: str) -> str:
    """Benchmarks are written with dashes, as `list` and `bench` have them."""
    return name.replace("_", "-") if catalogue.kind == "benchmark" else name


def _describe_study(part: str | None) -> None:
    from common.study.study import Study

    parts = _parts(Study)
    parts |= {f"{name}.{inner}": cls for name, held in parts.items() for inner, cls in _parts(held).items()}
    if part is None:
        _describe(Study)
        say(["", f"Parts: {', '.join(sorted(parts))}."])
    elif part in parts:
        _describe(parts[part])
    else:
        raise unknown("part of a study", part, parts)


def _parts(cls: type) -> dict[str, type]:
    """Tables that a table has, by their names."""
    found = {name: _table(hint) for name, hint in get_type_hints(cls).items()}
    return {name: held for name, held in found.items() if held is not None}


def _describe_own(kind: str) -> None:
    """What a hospital runs, or what its `policy.toml` may say."""
    if kind == POLICY:
        from client.asking.rules import QuestionRules
        from client.policy import Policy, RequiredNoise

        _describe(Policy)
        say([""])
        _describe(RequiredNoise)
        say([""])
        _describe(QuestionRules)
        return
    from common.study import program

    say([inspect.getdoc(program) or "", "", program.this_program().sentence])


def _table(hint: Any) -> type | None:
    from common.study.options import Entry

    options = [one for one in (hint, *get_args(hint)) if isinstance(one, type) and dataclasses.is_dataclass(one)]
    return next((one for one in options if one is not Entry), None)


def _describe(entry: Any) -> None:
    from experiments.described import options_of, texts_of

    if not (isinstance(entry, type) and dataclasses.is_dataclass(entry)):
        say([inspect.getdoc(entry) or "", "", "It has no options."])
        return
    options = options_of(entry)
    for text in texts_of(entry):
        say([text, ""])
    say(["Options:" if options else "It has no options."])
    for option in options:
        needed = option.default if option.default == "needed" else f"default {option.default}"
        console.print(f"  {option.name}", style="bold", end="", markup=False, highlight=False)
        say([f"  ({option.kind}; {needed})"])
        if option.meaning:
            console.print(f"      {option.meaning}", markup=False, highlight=False)
