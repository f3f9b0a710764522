"""Pages of the site that are no file of docs/, each made from what the program is today, and links between pages.

    python docs/site_pages/made_pages.py reference/settings.md      # prints one of them

Nothing of mkdocs is needed here, so that a test reads them where it is not installed.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [os.fspath(ROOT), os.fspath(Path(__file__).parent)]

from benchmarks_page import benchmarks_page, marked_results  # noqa: E402 - found by the line above
from commands_page import commands_page  # noqa: E402
from markdown_words import cell, table  # noqa: E402
from room_pages import ROOMS, room_modules, room_page  # noqa: E402
from settings_page import entries_page, kind_page, settings_page  # noqa: E402

from experiments.commands.lists import KINDS  # noqa: E402

ENTRIES, PYTHON = "reference/entries.md", "python.md"
"""Beneath these pages the menu shows those of `entry_pages` and `python_pages`."""
MODULES = {
    "wardround.runs": "a run: train, load, predict, audit",
    "wardround.studies": "a study, from a file or settings",
    "wardround.asking": "a question to hospitals",
    "wardround.imaging.images": "images of any library",
    "wardround.imaging.measures": "overlap and distances",
    "wardround.imaging.quality": "how near one image is to another",
    "wardround.imaging.registering": "registration, transforms, resampling",
    "wardround.imaging.segmenting": "outlines without a network",
    "common.causality.graph": "graphs of causes",
    "common.causality.graph_text": "graphs that are written out",
    "common.causality.identified_effect": "which effects can be known, and how",
    "common.causality.adjustment": "what to adjust for, and what never",
    "common.causality.separation": "what a graph makes independent",
    "common.causality.paths": "ways between two variables",
    "common.causality.discrete_model": "models of kinds: seen, set, and had it been",
    "common.causality.linear_model": "the same of numbers",
    "common.reconstruction.solve": "an image from what was measured",
    "common.reconstruction.expansion": "whether a plugged-in denoiser comes to rest",
    "common.segmentation.threshold": "thresholds",
    "common.segmentation.region_growing": "growing from seeds",
    "common.segmentation.tidying": "largest parts and holes",
    "common.segmentation.fusion": "labels of several atlases, joined",
    "common.segmentation.patches": "patches to train on",
    "common.segmentation.windows": "volumes larger than a network takes",
    "common.segmentation.arithmetic": "sizes and receptive fields of layers",
    "common.learning.task": "the roles task and network",
    "common.learning.abilities": "what a task can do besides",
    "common.data.cases": "cases, batches, shapes",
    "common.sums.aggregation": "the role aggregation",
    "common.sums.update": "what leaves a hospital",
    "common.privacy.mechanism": "the role privacy mechanism",
    "client.source": "the role source",
    "client.partition": "the role partition",
    "server.strategy": "the role strategy",
    "experiments.attack": "the role attack",
    "experiments.question": "the role question",
    "experiments.benchmark": "the role benchmark",
    "common.errors": "every error, and what it says",
}
"""The public door, what it rests on, and the roles that an entry of your own plays; whole rooms are in `ROOMS`."""


RESULTS = "results.md"


@cache
def MADE() -> Mapping[str, Callable[[], str]]:  # noqa: N802 - a table, made when it is first asked for
    """By path: what makes the page."""
    made: dict[str, Callable[[], str]] = {
        "contributing.md": partial(_root_page, "CONTRIBUTING.md"),
        "changelog.md": partial(_root_page, "CHANGELOG.md"),
        "benchmarks.md": benchmarks_page,
        "reference/settings.md": settings_page,
        "reference/commands.md": commands_page,
        "reference/studies.md": _studies_page,
        ENTRIES: entries_page,
    }
    made |= {path: partial(kind_page, kind) for kind, path in entry_pages().items()}
    made |= {path: partial(room_page, room) for room, path in _room_pages().items()}
    return made | {path: partial(_python_page, module) for module, path in _module_pages().items()}


def entry_pages() -> dict[str, str]:
    """Path by kind, as `wardround list` calls it; benchmarks have a page of their own."""
    return {kind: f"reference/{kind}.md" for kind in KINDS if kind != "benchmarks"}


def python_pages() -> dict[str, str]:
    """Path by what the menu calls the page: rooms, then modules."""
    return {ROOMS[room].title: path for room, path in _room_pages().items()} | _module_pages()


def documented_modules() -> tuple[str, ...]:
    """All whose docstrings the reference shows."""
    return (*MODULES, *room_modules())


def inside(text: str, page: str) -> str:
    """The page's text with links to files outside of docs/ as the site can follow them; page: path within docs/."""
    text = marked_results(text) if page == RESULTS else text + _contents() if page == PYTHON else text
    fences = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    follow = partial(_followed, page=page)
    return "".join(
        part if part.startswith("```") else re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", follow, part) for part in fences
    )


def _followed(link: re.Match[str], page: str) -> str:
    whole, (_, words, target) = link[0], link.groups()
    path, hash_, anchor = target.partition("#")
    if "://" in target or not path:
        return whole
    place = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), path))
    if place.startswith("docs/") and not place.endswith((".py", ".ipynb")):
        return whole
    found = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}.get(place)
    if place.startswith("experiments/studies/"):
        found, hash_, anchor = "reference/studies.md", "#", Path(place).stem
    if found is None:
        return f"{words} (`{place}`)"
    return f"[{words}]({posixpath.relpath(found, posixpath.dirname(page) or '.')}{hash_}{anchor})"


def _contents() -> str:
    """What stands beneath the page on Python: its pages, as the menu has them."""
    words = {room.title: ", ".join(room.modules.values()) for room in ROOMS.values()} | MODULES
    rows = [(f"[{title}]({path})", cell(words[title])) for title, path in python_pages().items()]
    return "\n\n## Every page\n\n" + table(("page", "what is there"), rows)


def _room_pages() -> dict[str, str]:
    return {room: f"reference/python/{room}.md" for room in ROOMS}


def _module_pages() -> dict[str, str]:
    return {module: f"reference/python/{module}.md" for module in MODULES}


def _root_page(name: str) -> str:
    """A page of the repository's first folder, its links as from docs/."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"\]\((?![a-z]+:|#)([^)\s]+)\)", lambda link: f"]({posixpath.relpath(link[1], 'docs')})", text)


def _studies_page() -> str:
    parts = [
        "# Shipped studies\n",
        "Each runs by its name: `wardround run demo`; `wardround check demo` says what it ",
    ]
    parts += ["needs, and every setting can be changed with `--set`. As they stand in `experiments/studies/`.\n"]
    for path in sorted((ROOT / "experiments" / "studies").glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        parts.append(f"\n## {path.stem}\n\n{tomllib.loads(text)['title']}.\n\n```toml\n{text.strip()}\n```\n")
    return "".join(parts)


def _python_page(module: str) -> str:
    shown = f"::: {module}\n    options:\n      show_root_heading: false\n"
    return f"# {module}\n\n*{MODULES[module].capitalize()}.*\n\n{shown}"


if __name__ == "__main__":
    print(inside(MADE()[sys.argv[1]](), sys.argv[1]))
