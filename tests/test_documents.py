"""What the pages say is there: links and anchors, commands, studies, tests, targets; the first page is short."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from common.study.catalogue import AGGREGATIONS, MECHANISMS
from common.study.options import Entry
from common.study.study import parse
from experiments.cli import cli
from experiments.commands.audits import OrAttacking

ROOT = Path(__file__).parents[1]
PAGES = [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY"))]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
CHANGES = ROOT / "CHANGELOG.md"
"""Speaks of what was there, too."""
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
SPOKEN = re.compile(r"`wardround ([a-z][^`]*)`")
"""A command in a sentence, or the part of one that the sentence is about."""
SHIPPED = {path.stem for path in (ROOT / "experiments" / "studies").glob("*.toml")}
COMMAND = re.compile(r"^(?:\$ |\w+\$ | {4}(?:\$ )?)?(wardround .*?)(?:\s+(?:#|>).*)?$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """As the pages' usual readers make them of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, CHANGES], ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in map("".join, LINK.findall(page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_understood(page: Path) -> None:
    """Its words are parsed as the command line parses them, and nothing is run."""
    for line in COMMAND.findall(page.read_text(encoding="utf-8")):
        words = shlex.split(line.replace("STUDY.toml", "study.toml"))[1:]
        if not words or "..." in words or not words[0].islower():
            continue
        command, words = named(words, f"{page.name}: {line}")
        if words and "--version" not in words:
            context = command.make_context(command.name, list(words), resilient_parsing=False)
            study = str(context.params.get("study") or "")
            is_shipped_name = study.isidentifier() and study.islower()
            assert study in SHIPPED or not is_shipped_name, f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_sentence_is_there_with_its_options(page: Path) -> None:
    """Sentences leave arguments out; what they name must be there all the same."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for said in SPOKEN.findall(text):
        if "|" in said or "--version" in said:
            continue
        command, rest = named(said.split(), f"{page.name}: wardround {said}")
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        options = {word.partition("=")[0] for word in rest if word.startswith("-")} - {"--help"}
        assert options <= known, f"{page.name}: wardround {said}"


@cache
def whole() -> Any:
    """The tree of all commands, which takes a third of a second to make."""
    return typer.main.get_command(cli)


def named(words: list[str], where: str) -> tuple[Any, list[str]]:
    """The command that `words` begin with, and those left."""
    command = whole()
    context = typer.Context(command, info_name="wardround")
    while isinstance(command, typer.core.TyperGroup) and words and not words[0].startswith("-"):
        words = command.written_out(context, words) if isinstance(command, OrAttacking) else words
        found = command.get_command(context, words[0])
        assert found is not None, where
        command, words = found, words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_make_and_tests_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {*re.findall(r"(?:`|^ {4}|^)make ([a-z]+)\b(?=[ `\n])", text, re.MULTILINE)} <= targets
    for path in re.findall(r"`(tests/[\w/]+\.py)", text):
        assert (ROOT / path).is_file(), f"{page.name}: {path}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "protections").glob("*.md")), ids=lambda page: page.stem)
def test_a_protection_is_written_as_a_study_takes_it(page: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for key, value in (pair for line in block.splitlines() for pair in tomllib.loads(line).items()):
            catalogue = {"aggregation": AGGREGATIONS, "privacy": MECHANISMS}.get(key)
            if catalogue is not None:
                options = {} if isinstance(value, str) else {**value}
                catalogue.build(Entry(options.pop("name", value), options))


def test_the_first_study_is_one_study_and_runs_as_it_stands() -> None:
    """The README's and Start's; the drill of `tests/test_site.py` trains it."""
    shown = (ROOT / "README.md").read_text(encoding="utf-8").partition("$ cat first.toml\n")[2].partition("\n$ ")[0]
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").partition("# first.toml\n")[2].partition("```")[0]
    assert shown.strip() == page.strip()
    study = parse(shown)
    assert (study.rounds, study.source.name, study.aggregation.name) == (4, "phantom", "secagg")


def test_the_first_page_is_read_in_five_minutes() -> None:
    """250 words a minute; blocks of code and tables are looked at, and not read."""
    text = re.sub(r"^```.*?^```|^\|.*$", "", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M | re.S)
    assert len(text.split()) < 1250
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 160
