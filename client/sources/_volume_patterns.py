"""Patterns of file names with named parts, such as `*/anat/{patient}_T1w.nii.gz`, and the files that fit them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from client.sources._endless import refuse_endless
from common.errors import StudyError
from common.study.spelling import unknown

FIELDS = ("patient", "person", "session", "site")
ENDINGS = (".nii.gz", ".nii")
_PARTS = re.compile(r"\{([^{}]*)\}|(\*\*/)|(\*)|(\?)|([^{}*?]+)|([{}])")


@dataclass(frozen=True)
class Pattern:
    """text: a path below a folder of data. `{patient}`, `{person}`, `{session}` and `{site}` stand for what is to be
    found there, none of them across a slash, the same for both where one comes twice; `*` and `?` for any letters or
    one, `**/` for any folders. Without an ending it fits both `.nii` and `.nii.gz`.

    Raises StudyError, naming the option `where`, for other fields and for what leads out of the folder.
    """

    text: str
    where: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.text)
        if not self.text or path.is_absolute() or ".." in path.parts or set(self.text) & set("\\\0"):
            raise StudyError(f"{self.where} must be a path below the source's folder; it is {self.text!r}.")
        for name, *_, brace in _PARTS.findall(self.text):
            if brace:
                raise StudyError(f"{self.where} has a brace without its other half: {self.text!r}.")
            if f"{{{name}}}" in self.text and name not in FIELDS:
                raise unknown(f"field of {self.where}", name, FIELDS)
        if "**" in self.text.replace("**/", "/").replace("*/", "/") or re.search(r"[^/]\*\*/", self.text):
            raise StudyError(f"{self.where} may have ** for whole folders only, as in **/x.nii; it is {self.text!r}.")
        refuse_endless(self.text, self.where)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields it has, each once."""
        return tuple(dict.fromkeys(re.findall(r"\{([^{}]*)\}", self.text)))

    def found(self, folder: Path) -> Iterator[tuple[Path, Mapping[str, str]]]:
        """Files that fit, sorted, and what each field stands for. Hidden files never fit."""
        whole = re.compile(normalize("NFC", self._regular()))
        for path in sorted({path for text in self._globs() for path in folder.glob(text)}):
            fits = whole.fullmatch(normalize("NFC", path.relative_to(folder).as_posix()))
            if fits and not path.name.startswith(".") and path.is_file():
                yield path, fits.groupdict()

    def _has_ending(self) -> bool:
        return self.text.endswith((*ENDINGS, "*"))

    def _globs(self) -> list[str]:
        plain = re.sub(r"\{[^{}]*\}", "*", self.text.replace("[", "[[]"))
        return [plain] if self._has_ending() else [f"{plain}{ending}" for ending in ENDINGS]

    def _regular(self) -> str:
        return _regular(self.text) + ("" if self._has_ending() else r"\.nii(?:\.gz)?")


def _regular(text: str) -> str:
    """The regular expression of a pattern's text."""
    seen: set[str] = set()
    parts = []
    for name, folders, any_letters, any_letter, plain, _ in _PARTS.findall(text):
        if plain:
            parts.append(re.escape(plain))
        elif folders:
            parts.append(r"(?:[^/]+/)*")
        elif any_letters:
            parts.append(r"[^/]*")
        elif any_letter:
            parts.append(r"[^/]")
        else:
            parts.append(f"(?P={name})" if name in seen else rf"(?P<{name}>[^/]+)")
            seen.add(name)
    return "".join(parts)
