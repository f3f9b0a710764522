"""A run folder damaged in one way, drawn from a generator: what a disk, an editor or somebody hostile may do."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

SECRET = "what no report may show"
HUGE_BYTES = 1 << 40
DEEP = 100_000
FILES = (
    "about.json",
    "study.toml",
    "rounds.jsonl",
    "roster.json",
    "final.json",
    "traffic.json",
    "privacy.json",
    "baselines.json",
    "pictures.json",
    "model.safetensors",
    "checkpoint/last.safetensors",
    "traffic/index.jsonl",
    "traffic/sums/000001.safetensors",
    "traffic/sums/000001.json",
)
FOLDERS = ("traffic", "checkpoint", "traffic/sums", "hospitals")
VALUES: tuple[Callable[[Random], str], ...] = (
    lambda rng: "null",
    lambda rng: "true",
    lambda rng: "[]",
    lambda rng: "{}",
    lambda rng: "NaN",
    lambda rng: "-Infinity",
    lambda rng: "1e999",
    lambda rng: "-1",
    lambda rng: "0",
    lambda rng: str(rng.randint(-(10**30), 10**30)),
    lambda rng: "9" * 5000,
    lambda rng: str(rng.random()),
    lambda rng: '""',
    lambda rng: '"\\ud800"',
    lambda rng: '"../../secret.txt"',
    lambda rng: '"hospital-9"',
    lambda rng: json.dumps("x" * rng.randint(1, 3000)),
    lambda rng: "[" * 50 + "]" * 50,
    lambda rng: "[" * DEEP + "]" * DEEP,
    lambda rng: '{"a": [1, {"b": null}]}',
    lambda rng: '["a", 1, null]',
)
"""Each written as JSON."""


def damage(folder: Path, outside: Path, rng: Random) -> str:
    """Damage `folder` in one way; in words which. outside: a folder with `secret.txt`, which links point to."""
    files = [name for name in FILES if (folder / name).exists()]
    files += [f"traffic/{path.name}" for path in rng.sample(sorted((folder / "traffic").glob("*.bin")), 3)]
    name = rng.choice(files)
    kind = rng.choice(ANY + _OF_SUFFIX.get(Path(name).suffix, ()) * 2)
    if kind is _folder_elsewhere:
        name = rng.choice([part for part in FOLDERS if (folder / part).exists()])
    kind(folder / name, outside, rng)
    return f"{name}: {kind.__name__.strip('_')}"


def _missing(path: Path, outside: Path, rng: Random) -> None:
    path.unlink()


def _empty(path: Path, outside: Path, rng: Random) -> None:
    path.write_bytes(b"")


def _truncated(path: Path, outside: Path, rng: Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def _flipped(path: Path, outside: Path, rng: Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 4, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _overwritten(path: Path, outside: Path, rng: Random) -> None:
    data = path.read_bytes()
    start = rng.randrange(len(data))
    path.write_bytes(data[:start] + rng.randbytes(rng.randint(1, 40)) + data[start + rng.randint(0, 40) :])


def _not_text(path: Path, outside: Path, rng: Random) -> None:
    path.write_bytes(rng.choice((b"\xff\xfe\x00", b"\x80", b"\xed\xa0\x80", b"\x00" * 9)) + path.read_bytes())


def _huge(path: Path, outside: Path, rng: Random) -> None:
    os.truncate(path, HUGE_BYTES)


def _a_folder(path: Path, outside: Path, rng: Random) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path, outside: Path, rng: Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _socket(path: Path, outside: Path, rng: Random) -> None:
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path, outside: Path, rng: Random) -> None:
    path.unlink()
    path.symlink_to("/dev/zero" if HUGE_BYTES > 1 << 33 else "/dev/null")


def _link_outside(path: Path, outside: Path, rng: Random) -> None:
    path.unlink()
    path.symlink_to(outside / "secret.txt")


def _moved_outside(path: Path, outside: Path, rng: Random) -> None:
    moved = outside / path.name
    shutil.copy(path, moved)
    path.unlink()
    path.symlink_to(moved)


def _loop(path: Path, outside: Path, rng: Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _folder_elsewhere(path: Path, outside: Path, rng: Random) -> None:
    """A whole folder replaced by a link to one of the same content."""
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)


def _value_changed(path: Path, outside: Path, rng: Random) -> None:
    """One value somewhere in one of the JSON texts of the file."""
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    at = rng.randrange(len(lines))
    lines[at] = _with_one_changed(lines[at], rng)
    path.write_text("".join(f"{line}\n" for line in lines))


def _with_one_changed(text: str, rng: Random) -> str:
    whole = json.loads(text)
    places = [place for place in _places(whole) if place]
    if not places or rng.random() < 0.1:
        return rng.choice(VALUES)(rng)
    *way, last = rng.choice(places)
    inner = whole
    for key in way:
        inner = inner[key]
    kind = rng.random()
    if kind < 0.15:
        del inner[last]
    elif kind < 0.25 and isinstance(inner, list):
        inner.append(inner[last])
    elif kind < 0.25:
        inner["another"] = inner.pop(last)
    else:
        inner[last] = "@@"
    return json.dumps(whole).replace('"@@"', rng.choice(VALUES)(rng))


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, one in inner for place in _places(one, (*way, key)))]


def _lines_moved(path: Path, outside: Path, rng: Random) -> None:
    lines = path.read_text().splitlines()
    kind = rng.choice(("dropped", "twice", "shuffled", "half"))
    at = rng.randrange(len(lines))
    if kind == "dropped":
        del lines[at]
    elif kind == "twice":
        lines.insert(at, lines[at])
    elif kind == "shuffled":
        rng.shuffle(lines)
    else:
        lines[at] = lines[at][: len(lines[at]) // 2]
    path.write_text("".join(f"{line}\n" for line in lines))


def _setting_changed(path: Path, outside: Path, rng: Random) -> None:
    lines = path.read_text().splitlines()
    at = rng.choice([number for number, line in enumerate(lines) if "=" in line])
    lines[at] = lines[at].split("=")[0] + "= " + rng.choice(VALUES)(rng)
    path.write_text("\n".join(lines))


def _deep_setting(path: Path, outside: Path, rng: Random) -> None:
    path.write_text("title = " + "[" * DEEP + "]" * DEEP + "\n" + path.read_text())


def _tensors_changed(path: Path, outside: Path, rng: Random) -> None:
    """The header says something else of the tensors, and is as long as it says itself."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = _with_one_changed(data[8 : 8 + length].decode(), rng).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])


def _other_length(path: Path, outside: Path, rng: Random) -> None:
    data = path.read_bytes()
    path.write_bytes(rng.choice((0, 1, 1 << 20, 1 << 40, (1 << 64) - 1)).to_bytes(8, "little") + data[8:])


def _numbers_not_finite(path: Path, outside: Path, rng: Random) -> None:
    data = bytearray(path.read_bytes())
    data[-4:] = b"\x00\x00\xc0\x7f"
    path.write_bytes(data)


Kind = Callable[[Path, Path, Random], None]
ANY: tuple[Kind, ...] = (
    _missing,
    _empty,
    _truncated,
    _truncated,
    _flipped,
    _flipped,
    _overwritten,
    _not_text,
    _huge,
    _a_folder,
    _fifo,
    _socket,
    _device,
    _link_outside,
    _moved_outside,
    _loop,
    _folder_elsewhere,
)
_OF_SUFFIX: dict[str, tuple[Kind, ...]] = {
    ".json": (_value_changed,) * 8,
    ".jsonl": (_value_changed,) * 8 + (_lines_moved,) * 3,
    ".toml": (_setting_changed,) * 6 + (_deep_setting,),
    ".safetensors": (_tensors_changed,) * 5 + (_other_length,) * 2 + (_numbers_not_finite,),
}
