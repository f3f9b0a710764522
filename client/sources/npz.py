"""Arrays of cases in .npz files, as NumPy saves them: one file of each hospital, or one of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from time import time_ns
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from client.new_cases import Kind, Learned, NewCase, NewFile
from client.source import Source
from client.sources._folders import existing, inside
from client.sources._npz import npz_contents, read_npz
from client.sources._npz_arrays import (
    channels_first,
    checked_spacing,
    class_indices,
    finite_rows,
    numbers,
    refuse_unequal,
    seen_classes,
    words,
)
from client.sources._persons import NOBODY, person_named, refuse_doubtful
from client.sources._splits import SPLIT_WORDS
from client.sources._table_layout import seems_to_name_persons
from common.data.cases import Cases, Quarantined, SiteId, no_truth
from common.data.names import fault_of, in_one_form, refuse_alike
from common.data.pooled_statistics import Pooled
from common.errors import FileError, SourceError, StudyError
from common.files import access as files
from common.study.checks import positive
from common.study.spelling import unknown

REMEDY = "Name the folder of your .npz files: --set source.folder=..."
USUAL = {
    "inputs": ("inputs", "x", "images", "image", "data", "features", "volumes"),
    "targets": ("targets", "y", "labels", "label", "target", "masks", "mask"),
    "person": ("person", "persons", "subject", "subjects", "participant_id", "patient", "patients", "patient_id"),
    "split": ("split", "splits"),
    "spacing": ("spacing", "spacing_mm", "spacings"),
    "consent": ("consent",),
}
"""What an array is called where a study does not say; capitals do not count."""
CLASSES = Pooled(
    "the classes from all labels of a file", "source.classes = []", "name them all, in an order, in source.classes"
)
NONE_NEEDED = "; a task that learns without labels needs none with source.unlabelled = true"
DIGITS_OF_NAME = 16
MOST_CLASSES = 1000


FILES_REMEMBERED = 1 << 16
"""Hospitals' files whose classes are kept: each is a few words."""
SETTLED_NS = 2_000_000_000
"""How long nothing came into a folder whose listing is kept: no clock of files is coarser."""


@dataclass(frozen=True)
class Npz:
    """file: the one file in `folder`, whose array `site` names each case's hospital (without one, a study divides the
    persons). Without `file`, each .npz in the folder is the hospital of its name.

    inputs, targets, person, split, spacing: names of arrays with one row a case; where not given, the usual ones
    (x, images, ...; y, labels, ...; person, patient, ...; split; spacing). Without an array of persons each case is a
    person of its own. spacing: in mm, (N, D), or (D,) of all.
    consent_column: the array that says which studies each case's person consents to, where not `consent`.
    target: "class", class indices or words of `classes`, one a case or one a pixel (where no classes are named: by
    the labels of the file); "number"; or "survival", from the arrays `time` and `event` (0 or 1).
    channels: where they stand in inputs of images: "first", "last", "none" (there is one, without an axis);
    "auto" finds it where it cannot be doubted. Inputs are divided by `divide_by`, a public constant such as 255.

    unlabelled: the inputs alone, for a task without labels: no array of targets is looked for.

    Nothing is unpickled; arrays of Python objects (of images of several sizes, say) are refused. A case with a value
    that is not finite is quarantined, by its place in the file.

    site: the array that names hospitals. classes: names of the class indices 0, 1, 2, ..., or the words of the
    targets. time: the array of times under observation. event: that of whether they ended in the event.
    """

    new_kinds: ClassVar[tuple[Kind, ...]] = ("npz",)
    sites_by: ClassVar[str] = "source.site, an array of the file; or without source.file each file is a hospital's"
    persons: ClassVar[str] = (
        "A person is who the array of persons names; in a file without one each case is taken for a person."
    )

    folder: str = ""
    file: str = ""
    inputs: str = ""
    targets: str = ""
    person: str = ""
    site: str = ""
    split: str = ""
    spacing: str = ""
    consent_column: str = ""
    target: Literal["class", "number", "survival"] = "class"
    time: str = "time"
    event: str = "event"
    classes: tuple[str, ...] = ()
    channels: Literal["auto", "first", "last", "none"] = "auto"
    divide_by: float = 1.0
    unlabelled: bool = False

    def __post_init__(self) -> None:
        positive("source", divide_by=self.divide_by)
        if self.site and not self.file:
            raise StudyError(
                "source.site names an array of the one file that source.file names: set both or neither."
            )
        if len(set(self.classes)) != len(self.classes) or len(self.classes) == 1:
            raise StudyError(f"source.classes must name two classes or more, each once; it is {list(self.classes)}.")

    @property
    def has_sites(self) -> bool:
        """Whether files or an array name the hospitals."""
        return bool(self.site) or not self.file

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """The classes, unless they are named."""
        learned = self.target == "class" and not self.unlabelled
        return (CLASSES,) if learned and not self.classes else ()

    def sites(self) -> tuple[SiteId, ...]:
        """Of the files' names or of the array, sorted. Reads no inputs."""
        if not self.has_sites:
            return ()
        if not self.site:
            return tuple(sorted(self._files()))
        path = self._files()[self.file]
        found = set(words(read_npz(path, [self.site])[self.site], self.site, path.name))
        for site in sorted(found):
            if fault := fault_of(site):
                raise SourceError(f"array {self.site!r} of {path.name} names a hospital whose name {fault}.")
        return tuple(sorted(found))

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """Cases of one hospital, in the file's order. inputs: (N, F) or (N, C, ...); targets: (N,) or (N, ...)."""
        if site is not None and site not in self.sites():
            raise unknown("hospital", site, self.sites())
        path = self._files()[site if site is not None and not self.site else self.file]
        chosen = self._chosen(path)
        arrays = read_npz(path, dict.fromkeys(chosen.values()))
        held = {role: arrays[name] for role, name in chosen.items()}
        refuse_unequal({chosen[role]: array for role, array in held.items() if role != "spacing"}, path.name)
        own = np.arange(len(held["inputs"]))
        if self.site:
            own = np.flatnonzero(np.array(words(held["site"], self.site, path.name)) == site)
        return self._cases(held, own, chosen, path.name, site or "")

    def new_cases(self, new: NewFile, learned: Learned) -> Iterator[NewCase]:
        """A file's inputs, and what its persons are called where it says; the targets are not looked for."""
        path = new.paths[0]
        contents = npz_contents(path)
        roles = {"inputs": self.inputs, "person": self.person if self.person in contents else ""}
        chosen = {role: found for role, name in roles.items() if (found := _array_of(role, name, tuple(contents)))}
        if "inputs" not in chosen:
            held = ", ".join(f"{name} {shape}" for name, (shape, _) in contents.items())
            raise SourceError(f"has no array by a usual name for inputs: it holds {held}")
        arrays = read_npz(path, chosen.values())
        inputs = self._inputs(arrays[chosen["inputs"]], chosen["inputs"], path.name)
        finite = finite_rows(inputs)
        names = words(arrays[chosen["person"]], chosen["person"], path.name) if "person" in chosen else []
        parts = [" ".join((f"case {at + 1}", *names[at : at + 1])) for at in range(len(inputs))]
        if not finite.any():
            raise SourceError("holds no usable case: every one has values that are not finite")
        yield NewCase(
            new.name,
            inputs[finite].astype(np.float32),
            tuple(part for part, fine in zip(parts, finite, strict=True) if fine),
            left_out=tuple(
                Quarantined(f"{path.name} {part}", "it holds values that are not finite")
                for part, fine in zip(parts, finite, strict=True)
                if not fine
            ),
        )

    def _inputs(self, values: NDArray[Any], name: str, file: str) -> NDArray[np.float32]:
        return channels_first(numbers(values, name, file), self.channels, name, file) / self.divide_by

    def _cases(
        self, held: Mapping[str, NDArray[Any]], own: NDArray[np.intp], chosen: Mapping[str, str], file: str, site: str
    ) -> Cases:
        name = chosen["inputs"]
        inputs = self._inputs(held["inputs"][own], name, file)
        targets, classes = self._targets(held, own, chosen, file, inputs.shape)
        persons = self._persons(held, own, chosen, file, site, inputs, targets)
        finite = finite_rows(inputs) & finite_rows(targets)
        survival = self.target == "survival" and not self.unlabelled
        if not finite.any():
            raise SourceError(f"{file} holds no usable case{' of ' + site if site else ''}.")
        left_out = [
            Quarantined(f"{file} case {own[at] + 1}", "it holds values that are not finite")
            for at in np.flatnonzero(~finite)
        ]
        cases = Cases.of(
            inputs.astype(np.float32),
            targets,
            persons,
            classes,
            prescribed=("validation", "test") if "split" in held else (),
            quarantined=tuple(left_out),
            spacing_mm=checked_spacing(held.get("spacing"), own, inputs.shape, file),
            given_split=self._split(held, own, chosen, file),
            consent=np.array(words(held["consent"], chosen["consent"], file))[own] if "consent" in held else None,
            time=targets[:, 0].copy() if survival else None,
            event=(targets[:, 1] > 0).astype(np.int64) if survival else None,
        )
        return cases if finite.all() else cases.take(np.flatnonzero(finite))

    def _targets(
        self,
        held: Mapping[str, NDArray[Any]],
        own: NDArray[np.intp],
        chosen: Mapping[str, str],
        file: str,
        shape: tuple[int, ...],
    ) -> tuple[NDArray[Any], tuple[str, ...]]:
        if self.unlabelled:
            return no_truth(len(own)), ()
        if self.target == "survival":
            columns = [
                numbers(held[role][own], chosen[role], file).reshape(len(own), -1) for role in ("time", "event")
            ]
            both = np.column_stack(columns).astype(np.float32)
            usable = both[np.isfinite(both).all(axis=1)] if both.shape[1] == 2 else both[:0]
            if both.shape[1] != 2 or (usable[:, 0] < 0).any() or not np.isin(usable[:, 1], (0, 1)).all():
                raise SourceError(f"{file}: times must be 0 or more, events 0 or 1, one of each a case.")
            return both, ()
        targets, name = held["targets"], chosen["targets"]
        if self.target == "number":
            found = numbers(targets[own], name, file).astype(np.float32)
            return (found.reshape(len(own)) if found.size == len(own) else found), ()
        classes = self.classes or self._found_classes()
        own_indices = class_indices(targets, classes, name, file)[own]
        if own_indices.ndim > 1 and own_indices.shape[1:] != shape[2:]:
            raise SourceError(
                f"array {name!r} of {file} holds labels of shape {own_indices.shape[1:]} for inputs of {shape[2:]}: "
                "one label a case or one a pixel is needed."
            )
        return own_indices, classes

    def _found_classes(self) -> tuple[str, ...]:
        """Of the labels of all files: words by name, or indices up to the largest; two at least."""
        found: set[str] = set()
        for path in self._files().values():
            now = path.stat()
            found |= _seen(self, path, (now.st_mtime_ns, now.st_size))
        refuse_alike("classes", found, "name each once in source.classes")
        if found <= {"class 0"}:
            return "class 0", "class 1"
        if not 2 <= len(found) <= MOST_CLASSES:
            raise SourceError(f"the labels are of {len(found)} classes, and 2 to {MOST_CLASSES} are needed.")
        return tuple(sorted(found, key=lambda name: (len(name) if name.startswith("class ") else 0, name)))

    def _persons(
        self,
        held: Mapping[str, NDArray[Any]],
        own: NDArray[np.intp],
        chosen: Mapping[str, str],
        file: str,
        site: str,
        inputs: NDArray[Any],
        targets: NDArray[Any],
    ) -> list[str]:
        if "person" not in held:
            return _named_by_content(inputs, targets, site)
        found = [person_named(word) for word in words(held["person"], chosen["person"], file)]
        for place, person in enumerate(found, start=1):
            if not person or person in NOBODY:
                raise SourceError(f"case {place} of {file} names no person in array {chosen['person']!r}.")
        refuse_doubtful([found[at] for at in own], file)
        return [found[at] for at in own]

    def _split(
        self, held: Mapping[str, NDArray[Any]], own: NDArray[np.intp], chosen: Mapping[str, str], file: str
    ) -> NDArray[np.str_] | None:
        if "split" not in held:
            return None
        found = [word.casefold() for word in words(held["split"], chosen["split"], file)]
        for place, word in enumerate(found, start=1):
            if word not in SPLIT_WORDS:
                raise SourceError(f"case {place} of {file} is in {word[:40]!r}: write train, validation or test.")
        return np.array([SPLIT_WORDS[found[at]] for at in own])

    def _chosen(self, path: Path) -> dict[str, str]:
        """The array of every role. Raises SourceError that lists what is in the file."""
        contents = npz_contents(path)
        named = {"inputs": self.inputs, "person": self.person, "split": self.split, "spacing": self.spacing}
        named |= {"consent": self.consent_column}
        named |= {"site": self.site} if self.site else {}
        if self.unlabelled:
            pass
        elif self.target == "survival":
            named |= {"time": self.time, "event": self.event}
        else:
            named |= {"targets": self.targets}
        found = {role: _array_of(role, name, tuple(contents)) for role, name in named.items()}
        lacking = [role for role in ("inputs", "targets") if role in found and found[role] is None]
        if lacking:
            held = ", ".join(f"{name} {shape}" for name, (shape, _) in contents.items())
            raise SourceError(
                f"{path.name} has no array by a usual name for {' and '.join(lacking)}: it holds {held}. Set "
                f"{' and '.join('source.' + role for role in lacking)}{NONE_NEEDED * (lacking == ['targets'])}."
            )
        chosen = {role: name for role, name in found.items() if name is not None}
        for name in contents if "person" not in chosen else ():
            if name not in chosen.values() and seems_to_name_persons(name):
                raise SourceError(
                    f"array {name!r} of {path.name} seems to name persons, and without it every case is taken for a "
                    f"person of its own: set source.person = {name!r} if it does, or else call it otherwise."
                )
        for name in chosen.values():
            if contents[name][1].hasobject:
                raise SourceError(
                    f"array {name!r} of {path.name} holds Python objects, which are never unpickled: save it as "
                    "numbers or words of one shape (images of several sizes as files of their own)."
                )
        return chosen

    def seen(self, path: Path) -> frozenset[str]:
        """Classes of a file's labels."""
        name = self._chosen(path)["targets"]
        return frozenset(seen_classes(read_npz(path, [name])[name], name, path.name))

    def _files(self) -> Mapping[str, Path]:
        """Files by hospital, or the one by its name. Raises SourceError where there is none, or one is a link."""
        try:
            return self._checked_files()
        except FileError as error:
            raise SourceError(str(error)) from error

    def _checked_files(self) -> Mapping[str, Path]:
        folder = existing(self.folder, "npz", REMEDY)
        if self.file:
            inside(folder, self.file)
            files.check(folder, self.file)
            return {self.file: folder / self.file}
        now = folder.stat()
        is_settled = time_ns() - now.st_mtime_ns > SETTLED_NS
        listed = _listed if is_settled else _listed.__wrapped__
        return listed(folder, (now.st_ino, now.st_mtime_ns))


def _array_of(role: str, name: str, there: Sequence[str]) -> str | None:
    if name:
        if name not in there:
            raise unknown(f"array (source.{role})", name, there)
        return name
    found = [one for usual in USUAL.get(role, ()) for one in there if one.casefold() == usual]
    if len(found) > 1:
        raise SourceError(f"arrays {' and '.join(found)} could each be the {role}: set source.{role}.")
    return found[0] if found else None


@lru_cache(maxsize=FILES_REMEMBERED)
def _seen(source: Npz, path: Path, version: tuple[int, int]) -> frozenset[str]:
    """Classes of a file, read once until it changes: each hospital of a process asks for those of all."""
    return source.seen(path)


@lru_cache(maxsize=8)
def _listed(folder: Path, version: tuple[int, int]) -> Mapping[str, Path]:
    """Files by hospital, listed anew when one comes, goes or is replaced: each hospital of a process asks for all."""
    found: dict[str, Path] = {}
    for name in files.names(folder):
        if not name.lower().endswith(".npz") or name.startswith("."):
            continue
        stem = in_one_form(name[:-4])
        if (fault := fault_of(stem)) or stem in found:
            raise SourceError(f"{name} in {folder} is to be a hospital's, whose name {fault or 'another file has'}.")
        files.check(folder, name)
        found[stem] = folder / name
    if not found:
        raise SourceError(f"{folder} holds no .npz file. {REMEDY}")
    return MappingProxyType(found)


def _named_by_content(inputs: NDArray[Any], targets: NDArray[Any], site: str) -> list[str]:
    """Names of persons from what their case holds, so that no other case's presence or place changes them."""
    alike: Counter[str] = Counter()
    found = []
    for one, target in zip(inputs, targets, strict=True):
        digest = sha256(one.tobytes() + b"|" + target.tobytes()).hexdigest()[:DIGITS_OF_NAME]
        alike[digest] += 1
        name = f"{site}-{digest}" if site else digest
        found.append(name if alike[digest] == 1 else f"{name}-{alike[digest]}")
    return found


source: type[Source] = Npz
