"""The studies and commands of `docs/own-data.md`: what stands there is what runs here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import EngineError

PAGE = Path(__file__).parents[2] / "docs" / "own-data.md"
STUDY_FILE = "study.toml"
_BLOCK = re.compile(r"^```(toml)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Documented:
    """text: of one study. folder: where its data are, relative."""

    text: str
    folder: str

    @property
    def lines(self) -> int:
        """Lines that a user writes."""
        return sum(bool(line.strip()) for line in self.text.splitlines())


def documented_studies(page: str) -> Mapping[str, Documented]:
    """Every study of the page, by the name of its source."""
    found = {}
    for kind, text in _BLOCK.findall(page):
        if kind:
            source = tomllib.loads(text)["source"]
            found[str(source["name"])] = Documented(text, str(source["folder"]))
    return found


def documented_commands(page: str) -> tuple[str, ...]:
    """The commands from a study to its report, without their comments."""
    for kind, text in _BLOCK.findall(page):
        if not kind and text.startswith("wardround "):
            return tuple(line.partition("#")[0].strip() for line in text.splitlines() if line.strip())
    return ()


def own_data_page() -> str:
    """The page's text. Raises EngineError where only the installed packages are here, without their documents."""
    if not PAGE.is_file():
        raise EngineError(f"{PAGE} is not here: this benchmark runs what stands in it, from a checkout.")
    return PAGE.read_text(encoding="utf-8")
