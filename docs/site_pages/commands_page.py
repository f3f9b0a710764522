"""The page of commands, made from the parser that reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from markdown_words import cell, code, prose, table

from experiments.cli import EXIT_CODES, cli
from experiments.commands.audits import ATTACKING, OrAttacking

HEAD = """# Commands

Every command of `wardround`, as its own parser knows it; `wardround COMMAND --help` says the same in a terminal.
`STUDY` is a file or [a shipped study's](studies.md) name, `RUN` a run's folder.

"""


def commands_page() -> str:
    """One section a command, groups after one another."""
    whole = typer.main.get_command(cli)
    made = [HEAD, *(_section(words, command) for words, command in _leaves(whole, "wardround"))]
    return "\n".join([*made, f"## Exit codes\n\n{prose(EXIT_CODES.removeprefix('Exit codes: ').strip())}\n"])


def _leaves(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    """Commands that do something, each as it is usually written."""
    if not isinstance(command, typer.core.TyperGroup):
        yield words, command
        return
    for name, inner in command.commands.items():
        is_meant_unsaid = isinstance(command, OrAttacking) and name == ATTACKING
        yield from _leaves(inner, words if is_meant_unsaid else f"{words} {name}")


def _section(words: str, command: Any) -> str:
    context = typer.Context(command, info_name=words)
    usage = " ".join(command.collect_usage_pieces(context))
    shown = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]
    arguments = [(code(one.make_metavar(context)), _help(one), _default(one)) for one in shown if _is_argument(one)]
    options = [(_spelled(one, context), _help(one), _default(one)) for one in shown if not _is_argument(one)]
    made = [f"## {words}\n", f"```\n{words} {usage}\n```\n", _text(command.help or "")]
    made += [table(("argument", "", "default"), arguments), table(("option", "", "default"), options)]
    return "\n".join(one for one in made if one)


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _spelled(option: Any, context: typer.Context) -> str:
    names = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} {code(option.make_metavar(context))}"


def _help(parameter: Any) -> str:
    return cell(_plain(getattr(parameter, "help", None) or ""))


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "needed"
    if callable(value) or value is None or value is False or value in ((), []):
        return ""
    return code(" ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))


def _plain(text: str) -> str:
    return text.replace("\\[", "[").replace("\b", "")


def _text(text: str) -> str:
    blocks = re.split(r"\n\s*\n", _plain(text).strip())
    return "\n\n".join(prose(" ".join(block.split())) for block in blocks) + "\n"
