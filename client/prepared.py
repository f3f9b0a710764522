"""Cases that are too large for the memory: preprocessed once into files of the hospital's own, mapped from then on.

What lies there is named by a digest of the source's options, the names, sizes and times of all original files, who
was left out, plug-ins, and this program's version: whatever changes any of them prepares anew, and removes what was
there of the same source before. Where nothing changed no original file is read a second time.

The place is the hospital's own folder, on a laptop the user's cache. WARDROUND_PREPARED names another folder, where
then also what is small is kept, or is "off": all cases stay in memory. They are copies of patients' images, readable
by their owner alone; `wardround withdraw` removes them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from stat import S_IWOTH

from client._prepared_files import FORMAT, read_prepared, write_prepared
from client.source import Source, Streaming, gathered
from client.source_abilities import streaming
from client.withdrawn import without
from common.data.cases import Cases, Quarantined, SiteId
from common.data.columns import Column
from common.errors import AbsentFileError, FileError, SourceError
from common.files.access import names, private_folder, remove
from common.study.options import Entry

VARIABLE = "WARDROUND_PREPARED"
OFF = "off"
FOLDER = "prepared"
IN_MEMORY_BYTES = 1 << 27
"""Cases of a hospital that take no more stay in memory, and no copy of them is kept."""


def cases_of(
    source: Source,
    entry: Entry,
    site: SiteId | None,
    seed: int,
    folder: Path | None = None,
    withdrawn: frozenset[str] = frozenset(),
    plugins: Mapping[str, str] | None = None,
) -> Cases:
    """A hospital's cases (everybody's for None), lazily where they are large and the source can give them in parts.

    folder: the hospital's own. withdrawn: persons whose cases are left out. plugins: digests of the study's. Raises
    SourceError as the source does, and where the place for prepared files cannot be used.
    """
    place = place_for(folder)
    parted = streaming(source)
    if place is None or parted is None:
        return without(source.cases(site, seed), withdrawn)
    key = key_of(entry, site, seed)
    digest = f"{key}-{_digest(version('wardround'), FORMAT, sorted(withdrawn), plugins, _originals(parted, site))}"
    try:
        _demand_own(place)
        found = _found(place, digest)
        return _prepared(place, key, digest, _kept(parted.parts(site, seed), withdrawn)) if found is None else found
    except FileError as error:
        raise SourceError(f"{error} Cases are kept prepared there; {VARIABLE} names another folder.") from error


def _found(place: Path, digest: str) -> Cases | None:
    """What is prepared there; None also where another process removes it at this moment."""
    try:
        return read_prepared(place, digest)
    except AbsentFileError:
        return None


def key_of(entry: Entry, site: SiteId | None, seed: int) -> str:
    """What names of prepared files begin with: of one source and hospital, whatever its files are."""
    return _digest(entry.name, json.dumps(dict(entry.options), sort_keys=True), site, seed)


def place_for(folder: Path | None) -> Path | None:
    """Where prepared cases lie; None where they are to stay in memory."""
    named = os.environ.get(VARIABLE, "")
    if named == OFF:
        return None
    if named:
        return Path(named).expanduser()
    if folder is not None:
        return folder / FOLDER
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wardround" / FOLDER


def _demand_own(place: Path) -> None:
    """Raise FileError where the usual place is somebody else's, as under a cache that several users share: whoever
    owns a folder exchanges what lies in it. A folder that a person names is that person's choice.
    """
    if os.environ.get(VARIABLE) or not place.exists():
        return
    found = place.stat()
    if found.st_uid != os.geteuid() or found.st_mode & S_IWOTH:
        raise FileError(place, "belongs to another user, or can be written by all")


def forget(folder: Path | None, key: str = "") -> int:
    """Remove what is prepared there, all of it or of one source and hospital; how many files there were."""
    place = place_for(folder)
    found = [] if place is None else [name for name in names(place) if name.startswith(key) and _is_ours(name)]
    for name in found:
        assert place is not None
        remove(place, name)
    return len(found)


def _is_ours(name: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}-[0-9a-f]{32}\.(json|[a-z_]+\.bin)", name) is not None


def _prepared(place: Path, key: str, digest: str, parts: Iterator[Cases | Quarantined]) -> Cases:
    """In memory while it is little, unless a folder is named for it."""
    held: list[Cases | Quarantined] = []
    held_bytes = 0
    for part in parts:
        held.append(part)
        held_bytes += _size_bytes(part)
        if held_bytes > IN_MEMORY_BYTES:
            break
    else:
        if not os.environ.get(VARIABLE):
            return gathered(held, "there is no usable case.")
    private_folder(place)
    for name in names(place):
        if name.startswith(key) and not name.startswith(digest):
            remove(place, name)
    write_prepared(place, digest, _let_go(held, parts))
    return read_prepared(place, digest)


def _let_go(held: list[Cases | Quarantined], parts: Iterable[Cases | Quarantined]) -> Iterator[Cases | Quarantined]:
    """All parts; those that are held are not held any longer once they are given."""
    while held:
        yield held.pop(0)
    yield from chain(parts)


def _size_bytes(part: Cases | Quarantined) -> int:
    return sum(map(_column_bytes, part.columns.values())) if isinstance(part, Cases) else 0


def _column_bytes(column: Column) -> int:
    values = column.gather()
    return sum(value.nbytes for value in values) if isinstance(values, tuple) else int(values.nbytes)


def _kept(parts: Iterable[Cases | Quarantined], withdrawn: frozenset[str]) -> Iterator[Cases | Quarantined]:
    for part in parts:
        kept = without(part, withdrawn) if isinstance(part, Cases) else part
        if isinstance(kept, Quarantined) or len(kept) or kept.quarantined:
            yield kept


def _originals(source: Streaming, site: SiteId | None) -> list[tuple[str, int, int]]:
    """Name, size and time of every original file. One that is absent is named; reading it will say so."""
    found = []
    for path in source.files(site):
        try:
            about = path.stat()
            found.append((str(path.absolute()), about.st_size, about.st_mtime_ns))
        except OSError:
            found.append((str(path.absolute()), -1, -1))
    return found


def _digest(*said: object) -> str:
    return sha256(repr(said).encode()).hexdigest()[:32]
