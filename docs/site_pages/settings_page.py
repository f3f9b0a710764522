"""Pages of settings: a study's, part by part, a hospital's policy, and of all that a study can name, kind by kind."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container
from typing import Any, get_args, get_type_hints

from markdown_words import cell, code, prose, table

from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting
from experiments.commands.lists import KINDS
from experiments.described import Option, options_of, texts_of

ENTRY = "name, or table with a name and options"
COLUMNS = ("setting", "is", "default", "means")
KIND_WORDS = {
    "tasks": 'What is learned: `task = "segmentation"`, or `task = { name = "segmentation", ... }`.',
    "networks": "`network` of a task.",
    "losses": "`loss` of a task.",
    "sources": 'Where cases come from: `source = { name = "nifti", folder = "data" }`.',
    "partitions": 'How a pool is divided into hospitals, in simulation: `partition = "iid"`.',
    "strategies": 'What the coordinator makes of a round\'s sum: `strategy = "fedavg"`.',
    "aggregations": 'How the sum is made: `aggregation = "secagg"`. Each has [a page](../protection.md).',
    "mechanisms": 'What noise hides: `privacy = { name = "dpsgd", epsilon = 1.0 }`.',
    "engines": 'How a study runs: `engine = "processes"`. What for: [How it runs](../studies.md#how-it-runs).',
    "analyses": "`wardround ask STUDY NAME ...`, or `[[analyses]]`. What each discloses: [Analyses](../analyses.md).",
    "attacks": "`wardround audit RUN --attack NAME`. What the audit does with them: [The audit](../audit.md).",
}


def settings_page() -> str:
    """Every setting of a study's file and of a hospital's `policy.toml`."""
    from client.asking.rules import QuestionRules
    from client.policy import Policy, RequiredNoise
    from common.study.study import Study

    parts = _parts(Study)
    made = [
        "# Settings of a study\n",
        "A study is one TOML file. `title`, `source` and `task` must be said; all else has the default that stands "
        "here. `--set training.epochs=2` changes a setting for one run, `wardround check STUDY` writes out all of "
        "them, and `wardround describe study training` says the same in a terminal. A setting that names an entry "
        "(`task`, `source`, ...) takes its options in the same table: [what a study can name](entries.md).\n",
        _section("The file itself", Study, parts=parts),
    ]
    for name, cls in parts.items():
        made.append(_section(f"`[{name}]`", cls))
        made += [_section(f"`[{name}.{held}]`", part, 3) for held, part in _parts(cls).items()]
    made.append("## A hospital's policy.toml\n\nIn the hospital's own folder; no study and no message changes it.\n")
    made += [_section("The file", Policy, 3), _section("`required_noise`", RequiredNoise, 3)]
    made.append(_section("`[questions]`", QuestionRules, 3))
    return "\n".join(made)


def entries_page() -> str:
    """One line for every entry of every kind."""
    made = ["# What a study can name\n", "As `wardround list` shows it; a page for each kind has the options. ", ""]
    made[1] += "Wherever one is named, [a file of your own](../own-model.md) may be.\n"
    for kind, catalogue in KINDS.items():
        if kind != "benchmarks":
            rows = [(f"[{name}]({kind}.md#{name})", catalogue.summary(name)) for name in catalogue.names()]
            made += [f"## {kind}\n", "| name | |\n|---|---|"]
            made += [f"| {link} | {prose(summary)} |" for link, summary in rows] + [""]
    return "\n".join(made)


def kind_page(kind: str) -> str:
    """Every entry of a kind: what it does, and its options."""
    catalogue = KINDS[kind]
    made = [f"# {kind.capitalize()}\n", KIND_WORDS.get(kind, "") + "\n"]
    made[1] += f"`wardround describe {catalogue.kind} NAME` says the same in a terminal.\n"
    for name in catalogue.names():
        made.append(f"## {name}\n\n{prose(catalogue.summary(name))}\n")
        with trusting(ANYTHING):
            made.append(_options(catalogue.load(name)))
    return "\n".join(made)


def _section(title: str, cls: type, level: int = 2, parts: Container[str] = ()) -> str:
    said = _before_fields(texts_of(cls)[0], cls) if texts_of(cls) else ""
    return f"{'#' * level} {title}\n\n" + (f"{prose(said)}\n\n" if said else "") + _options(cls, parts)


def _before_fields(text: str, cls: type) -> str:
    """The docstring's first paragraph, up to where it explains a field, which the table does; "" for a bare name."""
    first = " ".join(text.partition("\n\n")[0].split())
    names = "|".join(re.escape(one.name) for one in options_of(cls))
    said = re.split(rf"(?:^|(?<=[.;:] ))(?:{names})(?:, \w+)*: ", first, maxsplit=1)[0].strip(" :")
    return said if " " in said else ""


def _options(cls: Any, parts: Container[str] = ()) -> str:
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        return "It has no options.\n"
    return table(COLUMNS, [_row(one, parts) for one in options_of(cls)]) or "It has no options.\n"


def _row(one: Option, parts: Container[str]) -> tuple[str, str, str, str]:
    """Nothing is a value that no study can write, and a part has a table of its own further down."""
    kind = one.kind.removesuffix(" or nothing").replace(ENTRY, "[a name, or a table with it](entries.md)")
    default = {"needed": "needed", "{...}": ""}.get(one.default, code(one.default))
    return code(one.name), f"[table](#{one.name})" if one.name in parts else kind, default, cell(one.meaning)


def _parts(cls: type) -> dict[str, type]:
    """Tables that a table has, by their names."""
    found = {name: _part(hint) for name, hint in get_type_hints(cls).items()}
    return {name: held for name, held in found.items() if held is not None}


def _part(hint: Any) -> type | None:
    """The dataclass of a part that is a table of its own."""
    found = [one for one in (hint, *get_args(hint)) if isinstance(one, type) and dataclasses.is_dataclass(one)]
    return next((one for one in found if one is not Entry), None)
