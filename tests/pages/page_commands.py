"""The commands that pages show: lines of blocks, and those that a sentence spells out with their arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click

from tests.test_documents import named

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
PROGRAM = r"(?:[A-Z_]+=\S+ )*(?:wardround|make|pip|python3?|\.venv/bin/\w+) "
TYPED = re.compile(rf"(?:(?:\$|[a-z]+[$#]) (?P<prompted>.+)|(?P<bare>{PROGRAM}.+))")
FENCE = re.compile(r"^( *)```(\w*).*?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4}.+\n(?:\s*\n(?= {4}))?)+", re.MULTILINE)
SPOKEN = re.compile(rf"`({PROGRAM}[^`]+)`")
OF_A_TERMINAL = ("", "console", "sh")


@dataclass(frozen=True)
class Typed:
    """A command. line: from 1 on. words: as typed, without prompt and remark. shown: what the page has below it."""

    page: str
    line: int
    words: str
    shown: str = ""

    def __str__(self) -> str:
        return f"{self.page}: {self.words}"


def commands_of(page: Path) -> list[Typed]:
    """All of the page's, in its order."""
    text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix()
    found: list[Typed] = []
    for fence in FENCE.finditer(text):
        if fence[2] in OF_A_TERMINAL:
            found += of_block(name, text.count("\n", 0, fence.start(3)) + 1, fence[3])
    rest = FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), text)
    for block in INDENTED.finditer(rest):
        found += of_block(name, rest.count("\n", 0, block.start()) + 1, block[0])
    rest = INDENTED.sub(lambda block: "\n" * block[0].count("\n"), rest)
    for said in SPOKEN.finditer(rest):
        words = " ".join(said[1].replace("\\|", "|").split())
        if is_whole(words):
            found.append(Typed(name, rest.count("\n", 0, said.start()) + 1, words))
    return sorted(found, key=lambda one: one.line)


def of_block(page: str, first: int, block: str) -> Iterator[Typed]:
    """The commands of a block whose first line has the number `first`, each with what stands below it."""
    lines = [line.removeprefix("    ") for line in block.splitlines()]
    places = [number for number, line in enumerate(lines) if TYPED.fullmatch(line)]
    for number, until in pairwise([*places, len(lines)]):
        typed = TYPED.fullmatch(lines[number])
        assert typed is not None
        shown = [line for line in lines[number + 1 : until] if not line.startswith("# ")]
        yield Typed(page, first + number, bare(typed["prompted"] or typed["bare"]), "\n".join(shown).strip("\n"))


def bare(line: str) -> str:
    """The line without the remark at its end."""
    return re.sub(r"\s+# .*$", "", line).strip()


def is_whole(words: str) -> bool:
    """Whether a sentence says all that would be typed: no mere name of a command, and nothing left out."""
    if "..." in words.split() or "|" in words:
        return False
    arguments = shlex.split(words)
    if arguments[0] != "wardround":
        return True
    command, left = named(arguments[1:], words)
    if not left:
        return False
    try:
        command.make_context(command.name, left)
    except click.UsageError:
        return False
    return True
