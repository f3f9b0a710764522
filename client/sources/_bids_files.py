"""Files of a BIDS data set by their entities: sub-01_ses-2_acq-fast_T1w is of subject 01 in session 2."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import StudyError

ENDINGS = (".nii.gz", ".nii")
_ENTITY = re.compile(r"([A-Za-z]+)-([A-Za-z0-9+]+)")
_SUFFIX = re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True)
class BidsFile:
    """entities: as {"sub": "01", "ses": "2", "acq": "fast"}. suffix: as "T1w"."""

    path: Path
    entities: Mapping[str, str]
    suffix: str

    @property
    def contradiction(self) -> str:
        """What its folders and its name say differently, in words, or ""."""
        above = _entities(part for part in self.path.parts[-4:-1] if part.startswith(("sub-", "ses-")))
        differ = [key for key in ("sub", "ses") if above.get(key, self.entities.get(key)) != self.entities.get(key)]
        told = (f"lies in {key}-{above[key]} and is called {key}-{self.entities[key]}" for key in differ)
        return "; ".join(f"it {one}: of which is it?" for one in told)

    @property
    def place(self) -> tuple[str, str]:
        """Subject and session; "" where there is none."""
        return self.entities.get("sub", ""), self.entities.get("ses", "")


@dataclass(frozen=True)
class Wanted:
    """Which files are meant, in the words of their names: a suffix, perhaps after entities, as in "acq-fast_T1w".

    Raises StudyError, naming the option `where`, for other words.
    """

    text: str
    where: str

    def __post_init__(self) -> None:
        *entities, suffix = self.text.split("_")
        if not _SUFFIX.fullmatch(suffix) or not all(_ENTITY.fullmatch(each) for each in entities):
            raise StudyError(
                f"{self.where} must be a suffix of BIDS names, such as T1w, perhaps after entities, as in "
                f"acq-fast_T1w; it is {self.text!r}."
            )

    @property
    def entities(self) -> dict[str, str]:
        """Those that must be there."""
        return _entities(self.text.split("_")[:-1])

    @property
    def suffix(self) -> str:
        """The last word."""
        return self.text.rpartition("_")[2]

    def apart_from(self, like: Mapping[str, str]) -> dict[str, str]:
        """Of another file's entities those that a file may be told by: not what it is, nor what is asked for here."""
        return {key: value for key, value in like.items() if key not in self.entities and key != "desc"}

    def fits(self, file: BidsFile) -> bool:
        """Whether the file is one of them."""
        return file.suffix == self.suffix and self.entities.items() <= file.entities.items()


def bids_files(folder: Path) -> Iterator[BidsFile]:
    """Every volume below `sub-XX/[ses-YY/]kind/` of a data set, sorted; other files are none of them."""
    found = [*folder.glob("sub-*/*/*.nii*"), *folder.glob("sub-*/ses-*/*/*.nii*")]
    for path in sorted(found):
        stem = path.name.removesuffix(".gz").removesuffix(".nii")
        *entities, suffix = stem.split("_")
        if path.name.endswith(ENDINGS) and path.name[0] != "." and path.is_file() and _SUFFIX.fullmatch(suffix):
            yield BidsFile(path, _entities(path.relative_to(folder).parts[:-1]) | _entities(entities), suffix)


def out_of_place(folder: Path) -> list[Path]:
    """Volumes of a data set that `bids_files` does not give, for where they lie or for how they are called."""
    found = {file.path for file in bids_files(folder)}
    own = ("derivatives", "sourcedata", "code", "stimuli")
    return [
        path
        for path in sorted(folder.rglob("*.nii*"))
        if path.name.endswith(ENDINGS)
        and path not in found
        and not path.relative_to(folder).as_posix().startswith(own)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def best(files: Sequence[BidsFile], like: Mapping[str, str]) -> list[BidsFile]:
    """Those files that contradict the entities `like` nowhere and, of these, share most with it and add least."""
    fitting = [file for file in files if all(like.get(key, value) == value for key, value in file.entities.items())]

    def rank(file: BidsFile) -> tuple[int, int]:
        return -len(like.items() & file.entities.items()), len(file.entities.keys() - like.keys())

    least = min(map(rank, fitting), default=None)
    return [file for file in fitting if rank(file) == least]


def _entities(words: Iterable[str]) -> dict[str, str]:
    found = (_ENTITY.fullmatch(word) for word in words)
    return {one.group(1): one.group(2) for one in found if one}
