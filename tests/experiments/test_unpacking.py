"""Archives that somebody hostile wrote; on every Python 3.11, `tarfile`'s `filter=` or not."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from common.errors import DownloadError
from experiments.datasets import unpack_decathlon
from experiments.unpacking import Limits, unpack

LIMITS = Limits(members=5, unpacked_bytes=1000)


def member(name: str, kind: bytes = tarfile.REGTYPE, **about: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in about.items():
        setattr(info, key, value)
    return info


def written(path: Path, *members: tarfile.TarInfo, style: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=style) as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(b"x" * max(info.size, 0)))
    return path


def negative_size(path: Path) -> Path:
    """A size of -512 in GNU's base-256: a reader that steps back by it never ends."""
    block = bytearray(member("a").tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 10 + b"\xfe\x00"
    checksum = sum(block[:148]) + sum(block[156:512]) + 8 * 32
    block[148:156] = b"%06o\0 " % checksum
    path.write_bytes(bytes(block) + bytes(1024))
    return path


def long_chain(path: Path) -> Path:
    """Long names of long names of ...: tarfile recurses into each."""
    header = member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=2).tobuf(tarfile.GNU_FORMAT)
    path.write_bytes((header + b"a".ljust(512, b"\0")) * 3000)
    return path


def compressed(path: Path) -> Path:
    path.write_bytes(gzip.compress(written(path, member("a", size=100)).read_bytes()))
    return path


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a path above": lambda path: written(path, member("../outside", size=3)),
    "a path above, deeper": lambda path: written(path, member("a/../../outside", size=3)),
    "an absolute path": lambda path: written(path, member("/tmp/outside", size=3)),
    "a folder above": lambda path: written(path, member("..", tarfile.DIRTYPE)),
    "a symbolic link": lambda path: written(path, member("a", tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a symbolic link inside": lambda path: written(path, member("a", tarfile.SYMTYPE, linkname="b")),
    "a hard link": lambda path: written(path, member("a", tarfile.LNKTYPE, linkname="/etc/passwd")),
    "a device": lambda path: written(path, member("a", tarfile.CHRTYPE, devmajor=1, devminor=3)),
    "a block device": lambda path: written(path, member("a", tarfile.BLKTYPE, devmajor=8)),
    "a pipe": lambda path: written(path, member("a", tarfile.FIFOTYPE)),
    "a sparse file": lambda path: written(path, member("a", tarfile.GNUTYPE_SPARSE), style=tarfile.GNU_FORMAT),
    "a sparse file of PAX": lambda path: written(
        path, member("a", size=10, pax_headers={"GNU.sparse.map": "0,9", "GNU.sparse.size": str(1 << 40)})
    ),
    "a kind nobody knows": lambda path: written(path, member("a", b"Z", size=3)),
    "a NUL in a name": lambda path: written(path, member("é\0b", size=3)),
    "too many": lambda path: written(path, *(member(f"f{number}") for number in range(6))),
    "too much": lambda path: written(path, member("a", size=600), member("b", size=600)),
    "a size that PAX promises": lambda path: written(path, member("a", pax_headers={"size": str(1 << 50)})),
    "a negative size": negative_size,
    "headers without end": long_chain,
    "a compressed archive": compressed,
    "no archive": lambda path: path.write_bytes(b"no archive"),
    "an empty file": lambda path: path.write_bytes(b""),
    "half an archive": lambda path: path.write_bytes(written(path, member("a", size=900)).read_bytes()[:700]),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_ends_in_one_clear_error_and_writes_nothing_outside(kind: str, tmp_path: Path) -> None:
    HOSTILE[kind](tmp_path / "set.tar")
    (tmp_path / "inside").mkdir()
    with pytest.raises(DownloadError, match=r"^set\.tar could not be unpacked safely: "):
        unpack(tmp_path / "set.tar", lambda name: tmp_path / "inside" / name.name, LIMITS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "set.tar"]
    assert sum(path.stat().st_size for path in (tmp_path / "inside").iterdir()) <= LIMITS.unpacked_bytes


def test_files_are_written_whole_and_folders_are_passed_over(tmp_path: Path) -> None:
    members = (member("d", tarfile.DIRTYPE), member("d/a", size=3), member("d/empty"), member("b", size=5))
    path, asked = written(tmp_path / "set.tar", *members), []

    def place(name: PurePosixPath) -> Path | None:
        asked.append(str(name))
        return None if name.name == "b" else tmp_path / name.name

    unpack(path, place, LIMITS)
    assert asked == ["d/a", "d/empty", "b"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "set.tar"} == {
        "a": b"xxx",
        "empty": b"",
    }


def test_permissions_and_owners_of_the_archive_are_not_taken_over(tmp_path: Path) -> None:
    about = {"mode": 0o6777, "uid": 12345, "gid": 12345, "size": 3}
    members = [member(f"Task04/{kind}/h.nii.gz", **about) for kind in ("imagesTr", "labelsTr")]
    written(tmp_path / "Task04_Hippocampus.tar", *members)
    unpack_decathlon(tmp_path)
    found = (tmp_path / "images" / "h.nii.gz").stat()
    assert stat.S_IMODE(found.st_mode) & 0o7133 == 0
    assert (found.st_uid, found.st_gid) == (tmp_path.stat().st_uid, tmp_path.stat().st_gid)


def test_two_files_that_would_share_a_name_are_refused(tmp_path: Path) -> None:
    twice = [member(f"{top}/imagesTr/h.nii.gz", size=3) for top in ("one", "two")]
    written(tmp_path / "Task04_Hippocampus.tar", *twice)
    with pytest.raises(DownloadError, match="could not be unpacked safely"):
        unpack_decathlon(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Task04_Hippocampus.tar"]
