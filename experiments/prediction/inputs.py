"""What a person names on the command line as new files: each one alone, or all that a folder holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from client.new_cases import Kind, NewFile
from common.data.cases import Quarantined
from common.data.names import in_one_form
from common.errors import FileError, SourceError, StudyError
from common.files.access import opened

ENDINGS: dict[Kind, tuple[str, ...]] = {
    "nifti": (".nii.gz", ".nii"),
    "image": (".png", ".jpg", ".jpeg", ".tif", ".tiff"),
    "table": (".csv", ".tsv", ".txt", ".tab", ".parquet", ".pq", ".data"),
    "npz": (".npz",),
    "dicom": (".dcm", ".dicom", ".dic", ".ima"),
}
CALLED: dict[Kind, str] = {
    "nifti": "NIfTI files",
    "image": "images (PNG, JPEG, TIFF)",
    "table": "tables (CSV, Parquet)",
    "npz": "arrays (.npz)",
    "dicom": "folders of DICOM series",
}
MOST_FILES = 1_000_000
LONGEST_NAME_BYTES = 200
"""Of results' names: a file's name holds 255 bytes, and some are for its ending."""
DICM_AT, DICM = 128, b"DICM"


LaidOut = Callable[[Path], tuple[tuple[str, tuple[Path, ...]], ...]]


def new_files(inputs: Sequence[Path], kinds: Sequence[Kind], laid_out: LaidOut | None = None) -> tuple[NewFile, ...]:
    """All files of the kinds that a study's source takes, in the order they are named, those of a folder by name.

    laid_out: names and files of the cases of a folder that is laid out as the study's own data are, where the source
    knows such a layout. Raises StudyError where an input is absent, of another kind, or two would have results of
    one name.
    """
    found = [one for given in inputs for one in _of_input(given, kinds, laid_out)]
    seen: dict[str, NewFile] = {}
    for one in found:
        other = seen.setdefault(one.name.casefold(), one)
        if other is not one:
            raise StudyError(
                f"{other.paths[0]} and {one.paths[0]} would have results of one name, {one.name}: rename one, or "
                "predict them into folders of their own."
            )
    return tuple(found)


def passed_over(inputs: Sequence[Path], kinds: Sequence[Kind]) -> Iterator[Quarantined]:
    """Links in folders, which could lead anywhere and are not followed; a file that is named itself may be one."""
    for given in inputs:
        for place, folders, names in os.walk(given) if given.is_dir() else ():
            for name in sorted((*folders, *names)):
                path = Path(place, name)
                if path.is_symlink() and (path.is_dir() or _kind_of(path) in kinds):
                    yield Quarantined(str(path), "is a link, which is not followed: name what it leads to")


def _of_input(given: Path, kinds: Sequence[Kind], laid_out: LaidOut | None) -> Iterator[NewFile]:
    if given.is_dir():
        scans = laid_out(given) if laid_out is not None else ()
        own = [(name, paths) for name, paths in scans if not any(path.is_symlink() for path in paths)]
        yield from (NewFile("nifti", paths, name) for name, paths in own)
        if not scans:
            yield from _of_folder(given, kinds)
        return
    paths = _together(given)
    kind = _kind_of(paths[0])
    if kind == "dicom":
        raise StudyError(f"{given} is one DICOM file: name the folder of its series, for it is a slice of a volume.")
    if kind is None or kind not in kinds:
        raise StudyError(f"{given} cannot be used: the study learned from {_listed(kinds)}.")
    yield NewFile(kind, paths, _stem(paths[0].name))


def _together(given: Path) -> tuple[Path, ...]:
    """One file, or several of one case, parted by commas. Raises StudyError for one that is not there."""
    if given.exists():
        return (given,)
    paths = tuple(map(Path, str(given).split(",")))
    for path in paths:
        if not path.is_file():
            raise StudyError(f"there is no file or folder {path}.")
    return paths


def _of_folder(folder: Path, kinds: Sequence[Kind]) -> Iterator[NewFile]:
    files = list(_below(folder))
    found = [(kind, path) for path in files if (kind := _kind_of(path)) in kinds and kind != "dicom"]
    for kind, path in found:
        assert kind is not None
        name = "_".join((*path.relative_to(folder).parts[:-1], _stem(path.name)))
        yield NewFile(kind, (path,), _name(name))
    has_dicom = "dicom" in kinds and any(_is_dicom(path) for path in files if _kind_of(path) in (None, "dicom"))
    if has_dicom:
        yield NewFile("dicom", (folder,), _stem(folder.resolve().name))
    if not found and not has_dicom:
        raise StudyError(f"{folder} holds nothing that can be used: the study learned from {_listed(kinds)}.")


def _below(folder: Path) -> Iterator[Path]:
    """Every regular file, sorted, through no link, but hidden ones."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            count += 1
            if count > MOST_FILES:
                raise SourceError(f"{folder} holds more than {MOST_FILES} files: name a folder with fewer.")
            yield path


def _kind_of(path: Path) -> Kind | None:
    name = path.name.lower()
    return next((kind for kind, endings in ENDINGS.items() if name.endswith(endings)), None)


def _is_dicom(path: Path) -> bool:
    """Also of files that are not named like it, as most are."""
    try:
        with opened(path) as file:
            return file.read(DICM_AT + len(DICM)).endswith(DICM)
    except FileError:
        return False


def _stem(name: str) -> str:
    every = (ending for endings in ENDINGS.values() for ending in endings)
    ending = next((one for one in every if name.lower().endswith(one)), "")
    return _name(name[: len(name) - len(ending)] or "case")


def _name(text: str) -> str:
    """Of results: one line that a terminal shows as it is, a file's name on any system, and not too long for one."""
    seen = "".join(one if one.isprintable() and one not in "/\\" else "_" for one in in_one_form(text))
    if len(seen.encode()) <= LONGEST_NAME_BYTES:
        return seen
    kept = seen.encode()[:LONGEST_NAME_BYTES].decode(errors="ignore")
    return f"{kept}_{sha256(seen.encode()).hexdigest()[:8]}"


def _listed(kinds: Iterable[Kind]) -> str:
    return ", ".join(CALLED[kind] for kind in kinds)
