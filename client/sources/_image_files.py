"""Files of a folder by a pattern with named fields: "{site}/{class}/{person}_*.png".

`{word}` is one or more characters of a name, as few as will do, and the same ones wherever the word comes again; `*`
any number, `?` one, none of them a `/`; `**/` any number of folders. Names are compared in Unicode NFC, whatever form
the disk keeps them in. No link is followed: a linked file or folder where the pattern looks is found, with the reason
why it is not used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISLNK
from unicodedata import normalize

from client.sources._endless import refuse_endless
from common.errors import SourceError, StudyError

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
JUNK = ("thumbs.db", "desktop.ini", "__macosx")
DEEPEST = 32
"""Folders in folders."""
_TOKENS = re.compile(r"\{(?P<field>[^{}]*)\}|(?P<deep>\*\*/)|(?P<any>\*)|(?P<one>\?)|(?P<text>[^{}*?]+|.)", re.DOTALL)


@dataclass(frozen=True)
class Listed:
    """Something in the folder. name: below it, as the disk spells it. problem: why it cannot be used, or ""."""

    name: str
    problem: str = ""

    @property
    def plain(self) -> str:
        """The name in Unicode NFC."""
        return normalize("NFC", self.name)


@dataclass(frozen=True)
class Pattern:
    """text: as a study writes it."""

    text: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The words in braces, in order."""
        return tuple(dict.fromkeys(found["field"] for found in _TOKENS.finditer(self.text) if found["field"]))

    def check(self, option: str) -> None:
        """Raise StudyError where it is no pattern below a folder."""
        words = [found["field"] for found in _TOKENS.finditer(self.text) if found["field"] is not None]
        wrong = next((word for word in words if not word.isidentifier()), None)
        if wrong is not None or _without_fields(self.text) & set("{}\\\0"):
            raise StudyError(
                f"{option} must have its fields in braces, such as {{site}}/{{class}}/*.png; it is {self.text!r}."
            )
        if not self.text or self.text.startswith(("/", "~")) or ".." in self.text.split("/"):
            raise StudyError(f"{option} names files below source.folder; it is {self.text!r}.")
        refuse_endless(self.text, option)

    @property
    def is_open(self) -> bool:
        """Whether a name can fit that goes on where another's field ends: p1_x_mask.png, for p1 and *."""
        return any("{" in part and set("*?") & set(part) for part in self.text.split("/"))

    def match(self, name: str) -> dict[str, str] | None:
        """The fields of a file's name, or None."""
        found = re.compile(_regex(normalize("NFC", self.text))).fullmatch(name)
        return None if found is None else found.groupdict()

    def filled(self, fields: Mapping[str, str]) -> Pattern:
        """The pattern with words in the place of fields."""
        parts = []
        for found in _TOKENS.finditer(self.text):
            word = fields.get(found["field"] or "")
            parts.append(found[0] if word is None else word)
        return Pattern("".join(parts))


def all_files(folder: Path) -> list[Listed]:
    """Every file below the folder, sorted by name; of links, what they are. Hidden ones are left out, and junk."""
    return sorted(_below(folder, "", 0), key=lambda one: one.plain)


def _below(folder: Path, inner: str, depth: int) -> Iterator[Listed]:
    if depth > DEEPEST:
        yield Listed(inner.rstrip("/"), f"lies more than {DEEPEST} folders deep")
        return
    try:
        with os.scandir(folder / inner) as entries:
            found = list(entries)
    except OSError as error:
        if not inner:
            raise SourceError(f"{folder} cannot be read: {error.strerror}.") from error
        yield Listed(inner.rstrip("/"), f"is a folder that cannot be read: {error.strerror}")
        return
    for entry in found:
        name = f"{inner}{entry.name}"
        if entry.name.startswith(".") or entry.name.casefold() in JUNK:
            continue
        mode = entry.stat(follow_symlinks=False).st_mode
        if S_ISDIR(mode):
            yield from _below(folder, f"{name}/", depth + 1)
        elif S_ISLNK(mode) and entry.is_dir():
            yield Listed(
                name, "is a link to a folder, which is not followed: put the files there, or name that folder"
            )
        elif S_ISLNK(mode):
            yield Listed(name, "is a link, which is not followed: put the file itself there")
        else:
            yield Listed(name)


def _without_fields(text: str) -> set[str]:
    return set(re.sub(r"\{[^{}]*\}", "", text))


def _regex(text: str) -> str:
    parts, seen = [], set()
    for found in _TOKENS.finditer(text):
        field = found["field"]
        if field is not None:
            parts.append(f"(?P={field})" if field in seen else f"(?P<{field}>[^/]+?)")
            seen.add(field)
        elif found["deep"]:
            parts.append("(?:[^/]+/)*")
        else:
            parts.append("[^/]*" if found["any"] else "[^/]" if found["one"] else re.escape(found["text"]))
    return "".join(parts)
