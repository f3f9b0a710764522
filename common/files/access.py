"""Files in folders that others may have prepared, and files for their owner's eyes only: the one door to both.

A run folder may come from anybody, and a hospital's own folder holds what nobody else may read. So whatever lies in
such a folder is named by the folder and a name below it, and

    read(folder, "traffic/000001.bin")       reads a regular file, through no link below `folder`, up to a size
    read_text(folder, "study.toml")          the same, as UTF-8
    if_there(read, folder, "about.json")     the same of what may be absent: None where nothing has the name
    is_there(folder, "about.json")           whether anything has the name, a link included
    names(folder, "traffic/sums")            what is in a folder below `folder`
    write(folder, "report.html", text)       all or nothing of it, mode 0600, folders that it needs 0700
    create(folder, "identity.key", secret)   the same, unless something has the name already
    remove(folder, "answer.json")            a file, or a link itself
    append(folder, "rounds.jsonl", line)     to a regular file, through no link, mode 0600
    private_folder(folder, "hospitals/A")    made 0700 where it is not there
    new_folder(folder, "2026-01-31")         the same, unless something has the name already

Nothing here follows a link below `folder`, waits for a pipe or a device, or reads without a limit; a temporary name
is random and made by this call alone. `folder` itself may be reached through links: a person named it. A file that a
person names himself, to be read or written, is opened by `opened` and `write_to`. All raise FileError, and where
nothing has the name AbsentFileError. Files come and go, as SQLite's journal does while another process works: whoever
asks `is_there` and then reads may find nothing, and `if_there` asks and reads in one.

Not noticed: a hard link, which is the file itself by a second name (`append` alone refuses it).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import BinaryIO, Concatenate, ParamSpec, TypeVar

from common.errors import AbsentFileError, FileError

P = ParamSpec("P")
T = TypeVar("T")

LARGEST_BYTES = 1 << 33
LARGEST_TEXT_BYTES = 1 << 28
FILE_MODE, FOLDER_MODE = 0o600, 0o700
UMASK = 0o077
STREAMS = ("/dev", "/proc")
"""What lies here is no file to be replaced: /dev/stdout."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def keep_private() -> None:
    """Files that libraries write from now on in this process, and in those it starts, are for their owner alone."""
    os.umask(UMASK)


@contextmanager
def kept_private() -> Iterator[None]:
    """`keep_private` while the block lasts."""
    before = os.umask(UMASK)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def open_inside(folder: Path, name: str, largest_bytes: int = LARGEST_BYTES) -> Iterator[BinaryIO]:
    """A regular file of at most `largest_bytes` below `folder`, for reading."""
    with _telling(folder / name), _parent(folder, name) as (parent, last):
        file = _opened(last, _READ | os.O_NOFOLLOW, folder / name, largest_bytes, parent)
    with file:
        yield file


def check(folder: Path, name: str) -> None:
    """Raise FileError unless a regular file is there: for libraries that open by name. It is not opened here."""
    with _telling(folder / name), _parent(folder, name) as (parent, last):
        _check(os.stat(last, dir_fd=parent, follow_symlinks=False), folder / name, LARGEST_BYTES)


def read(folder: Path, name: str, largest_bytes: int = LARGEST_BYTES) -> bytes:
    """All of a file below `folder`."""
    with open_inside(folder, name, largest_bytes) as file:
        return _all(file, folder / name)


def read_text(folder: Path, name: str, largest_bytes: int = LARGEST_TEXT_BYTES) -> str:
    """All of a file below `folder`, which must be UTF-8."""
    return _text(read(folder, name, largest_bytes), folder / name)


def if_there(
    use: Callable[Concatenate[Path, str, P], T], folder: Path, name: str, *args: P.args, **kwargs: P.kwargs
) -> T | None:
    """What `use` makes of the one file that it reads, or None where nothing has its name."""
    try:
        return use(folder, name, *args, **kwargs)
    except AbsentFileError:
        return None


def is_there(folder: Path, name: str) -> bool:
    """Whether anything has this name below `folder`: also a link, a pipe, or what cannot be read."""
    try:
        with _parent(folder, name) as (parent, last):
            os.stat(last, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except (OSError, FileError):
        return True
    return True


def names(folder: Path, name: str = "") -> list[str]:
    """Names of all that is in `folder`, or in a folder below it, sorted; [] where there is none."""
    try:
        with _telling(folder / name), _parent(folder, f"{name}/_" if name else "_") as (parent, _):
            return sorted(os.listdir(parent))  # noqa: PTH208 - a path cannot be a descriptor
    except AbsentFileError:
        return []


def write(folder: Path, name: str, content: str | bytes, durable: bool = False) -> Path:
    """A whole file below `folder` or what was there before; its path. What was there is replaced, never written into.

    durable: on the disk when this returns, for what must outlive a loss of power.
    """
    with writing(folder, name, durable) as file:
        file.write(_bytes(content))
    return folder / name


@contextmanager
def writing(folder: Path, name: str, durable: bool = False) -> Iterator[BinaryIO]:
    """As `write`, for what is written piece by piece: the file appears when the block ends, not when it raises."""
    with _telling(folder / name), _parent(folder, name, create=True, durable=durable) as (parent, last):
        with _beside(parent, last) as beside:
            with os.fdopen(os.open(beside, _NEW, FILE_MODE, dir_fd=parent), "wb") as file:
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(beside, last, src_dir_fd=parent, dst_dir_fd=parent)
        if durable:
            os.fsync(parent)


def create(folder: Path, name: str, content: str | bytes = b"") -> bool:
    """A new file below `folder`, whole, on the disk when this returns; False, with nothing done, where one is."""
    with (
        _telling(folder / name),
        _parent(folder, name, create=True, durable=True) as (parent, last),
        _beside(parent, last) as beside,
    ):
        with os.fdopen(os.open(beside, _NEW, FILE_MODE, dir_fd=parent), "wb") as file:
            file.write(_bytes(content))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(beside, last, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            return False
        os.fsync(parent)
        return True


@contextmanager
def _beside(parent: int, last: str) -> Iterator[str]:
    """A name that nobody has guessed; what is left under it in the end is removed."""
    name = f".{last[:200]}.{token_hex(8)}"
    try:
        yield name
    finally:
        with suppress(OSError):
            os.unlink(name, dir_fd=parent)


def remove(folder: Path, name: str) -> None:
    """Remove a file below `folder`, or a link itself; nothing where there is none."""
    with _telling(folder / name), suppress(FileNotFoundError), _parent(folder, name) as (parent, last):
        os.unlink(last, dir_fd=parent)


def rename(folder: Path, name: str, to: str) -> None:
    """Give a file below `folder` another name there; what had that name before is replaced."""
    with _telling(folder / name), _parent(folder, name) as (old, last), _parent(folder, to) as (new, wanted):
        os.replace(last, wanted, src_dir_fd=old, dst_dir_fd=new)


def append(folder: Path, name: str, content: str | bytes, durable: bool = False) -> None:
    """Add to a file below `folder`, which is made where it is not there."""
    with appending(folder, name) as file, _telling(folder / name):
        _write_all(file, _bytes(content))
        if durable:
            os.fsync(file)


@contextmanager
def appending(folder: Path, name: str) -> Iterator[int]:
    """The descriptor of a file below `folder` to add to, for locks and logs as well."""
    with _telling(folder / name), _parent(folder, name, create=True) as (parent, last):
        file = os.open(last, _APPEND, FILE_MODE, dir_fd=parent)
        found = os.fstat(file)
        if not S_ISREG(found.st_mode) or found.st_nlink != 1:
            os.close(file)
            raise FileError(folder / name, "is not a regular file with one name; nothing is added to it")
    try:
        yield file
    finally:
        os.close(file)


def private_folder(folder: Path, name: str = "", durable: bool = False) -> Path:
    """`folder`, or the one of this name below it, made for its owner alone where it is not there; its path.

    durable: it has its name for good when this returns, and so has every folder on the way to it.
    """
    with _telling(folder / name), _parent(folder, f"{name}/_" if name else "_", create=True, durable=durable):
        return folder / name


def new_folder(folder: Path, name: str) -> bool:
    """Make a folder of this name in `folder`, for its owner alone; False where something has the name already.

    Of two that ask at once, one is told True.
    """
    with _telling(folder / name), _parent(folder, name, create=True) as (parent, last):
        try:
            os.mkdir(last, FOLDER_MODE, dir_fd=parent)
        except FileExistsError:
            return False
        return True


@contextmanager
def opened(path: Path, largest_bytes: int = LARGEST_BYTES) -> Iterator[BinaryIO]:
    """A regular file that a person or a hospital's own configuration names: links are followed, pipes refused."""
    with _telling(path):
        file = _opened(os.fspath(path), _READ, path, largest_bytes)
    with file:
        yield file


def read_all(path: Path, largest_bytes: int = LARGEST_TEXT_BYTES) -> bytes:
    """All of a file that a person names."""
    with opened(path, largest_bytes) as file:
        return _all(file, path)


def read_all_text(path: Path, largest_bytes: int = LARGEST_TEXT_BYTES) -> str:
    """All of a file that a person names, which must be UTF-8; a byte-order mark is no part of it."""
    return _text(read_all(path, largest_bytes), path)


def demand_writable(*paths: Path | None) -> None:
    """Raise FileError where a file that a person names could not be written: asked before the work, not after it."""
    for path in paths:
        if path is None or any(path.absolute().is_relative_to(place) for place in STREAMS):
            continue
        if path.is_dir():
            raise FileError(path, "is a folder; name a file in it")
        place = next(one for one in path.absolute().parents if one.exists())
        if not place.is_dir():
            raise FileError(path, f"cannot be written: {place} is no folder")
        if not os.access(place, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise FileError(path, f"cannot be written: {place} is not this user's to write in, or is read only")


def write_to(path: Path, content: str | bytes) -> Path:
    """`write` to a path that a person names. Streams such as /dev/stdout are written into."""
    with writing_to(path) as file:
        file.write(_bytes(content))
    return path


@contextmanager
def writing_to(path: Path) -> Iterator[BinaryIO]:
    """`writing` to a path that a person names."""
    if any(path.absolute().is_relative_to(place) for place in STREAMS):
        with _telling(path), path.open("wb") as stream:
            yield stream
        return
    with writing(path.parent, path.name) as file:
        yield file


@contextmanager
def _parent(folder: Path, name: str, create: bool = False, durable: bool = False) -> Iterator[tuple[int, str]]:
    """The descriptor of the folder that holds the last part of `name`, and that part.

    durable: folders that are made have their names for good: a file on the disk in a folder that is not is lost.
    """
    *way, last = _parts(folder, name)
    if create:
        _make(folder, durable)
    here = os.open(folder, _FOLDER)
    try:
        for part in way:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, FOLDER_MODE, dir_fd=here)
                    if durable:
                        os.fsync(here)
            here = _inner(here, part, folder)
        yield here, last
    finally:
        os.close(here)


def _inner(here: int, part: str, folder: Path) -> int:
    """The descriptor of a folder in the folder `here`, which is closed."""
    try:
        inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
    except NotADirectoryError as error:
        raise FileError(folder, f"holds {part!r}, which is a link or a file where a folder must be") from error
    os.close(here)
    return inner


def _parts(folder: Path, name: str) -> list[str]:
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise FileError(folder, f"is not looked into for {name[:200]!r}, which is no name below it")
    return parts


def _make(folder: Path, durable: bool) -> None:
    """Path.mkdir(parents=True) gives its mode to the last one only."""
    if not folder.is_dir():
        _make(folder.parent, durable)
        folder.mkdir(FOLDER_MODE, exist_ok=True)
        if durable:
            above = os.open(folder.parent, _FOLDER)
            try:
                os.fsync(above)
            finally:
                os.close(above)


def _opened(name: str, flags: int, path: Path, largest_bytes: int, parent: int | None = None) -> BinaryIO:
    """Looked at first, since merely opening some devices does something, and again once it is open."""
    before = os.stat(name, dir_fd=parent, follow_symlinks=not flags & os.O_NOFOLLOW)
    _check(before, path, largest_bytes)
    file = os.fdopen(os.open(name, flags, dir_fd=parent), "rb")
    try:
        _check(os.fstat(file.fileno()), path, largest_bytes)
    except FileError:
        file.close()
        raise
    return file


def _check(found: os.stat_result, path: Path, largest_bytes: int) -> None:
    if not S_ISREG(found.st_mode):
        raise FileError(path, "is not a regular file (links in such a folder are not followed)")
    if found.st_size > largest_bytes:
        raise FileError(path, f"holds {found.st_size} bytes; at most {largest_bytes} are read")


def _all(file: BinaryIO, path: Path) -> bytes:
    """What was in it when it was opened: a run may be adding to it."""
    with _telling(path):
        return file.read(os.fstat(file.fileno()).st_size)


def _text(data: bytes, path: Path) -> str:
    """A byte-order mark, which Windows editors write, is no part of it; UTF-16 without one has zero bytes."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(path, f"is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    if "\0" in text:
        raise FileError(path, f"is not UTF-8 (a zero byte at {data.index(0)}); save it as UTF-8")
    return text


def _bytes(content: str | bytes) -> bytes:
    """Half a surrogate pair, which JSON can hold and UTF-8 cannot, becomes a question mark."""
    return content if isinstance(content, bytes) else content.encode("utf-8", "replace")


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = AbsentFileError if isinstance(error, FileNotFoundError) else FileError
        raise kind(path, f"cannot be used: {error.strerror or type(error).__name__}") from error
