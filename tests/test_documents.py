"""What the pages say is there: links and their anchors, commands, studies' words; the first page is short."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from experiments.cli import cli
from experiments.commands.audits import OrAttacking

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^(?:\$ |\w+\$ | {4}(?:\$ )?)?(wardround .*?)(?:\s+(?:#|>).*)?$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """As the pages' usual readers make them of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_understood(page: Path) -> None:
    """Its words are parsed as the command line parses them, and nothing is run."""
    whole = typer.main.get_command(cli)
    for line in COMMAND.findall(page.read_text(encoding="utf-8")):
        words = shlex.split(line.replace("STUDY.toml", "study.toml"))[1:]
        if not words or "..." in words or not words[0].islower():
            continue
        context, command = typer.Context(whole, info_name="wardround"), whole
        while isinstance(command, typer.core.TyperGroup) and words and not words[0].startswith("-"):
            words = command.written_out(context, words) if isinstance(command, OrAttacking) else words
            found = command.get_command(context, words[0])
            assert found is not None, f"{page.name}: {line}"
            command, words = found, words[1:]
        if words and "--version" not in words:
            command.make_context(command.name, list(words), resilient_parsing=False)


def test_the_first_page_is_read_in_five_minutes() -> None:
    """250 words a minute; blocks of code and tables are looked at, and not read."""
    text = re.sub(r"^```.*?^```|^\|.*$", "", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M | re.S)
    assert len(text.split()) < 1250
