"""What mkdocs asks while it builds the site: pages that are made, their places in the menu, links out of docs/."""

from __future__ import annotations

from typing import Any

from made_pages import ENTRIES, MADE, PYTHON, entry_pages, inside, python_pages
from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify


def on_config(config: Any) -> Any:
    """Anchors as GitHub's, so that one link does for both; the menu of what the catalogue holds today."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify(case="lower")
    _place(config.nav, ENTRIES, entry_pages())
    _place(config.nav, PYTHON, python_pages())
    return config


def on_files(files: Files, config: Any) -> Files:
    """Those of the repository's files that are pages, and those that are made."""
    for path, made in MADE().items():
        files.append(File.generated(config, path, content=made()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links that lead out of docs/ on the disk lead to the same page here, or name the file."""
    return inside(markdown, page.file.src_uri)


def _place(menu: Any, beneath: str, pages: dict[str, str]) -> None:
    """Put `pages`, path by title, into the menu beneath the page `beneath`."""
    for entry in menu:
        if isinstance(entry, list) or (isinstance(entry, dict) and isinstance(next(iter(entry.values())), list)):
            _place(next(iter(entry.values())), beneath, pages)
        elif isinstance(entry, dict) and beneath in entry.values():
            (title,) = entry
            entry[title] = [beneath, *({name: path} for name, path in pages.items())]
