"""Files from their official homes: resumable, bounded, and refused where they are not the pinned ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Literal

import httpx

from common.errors import DownloadError

TIMEOUT_S = 20.0
TRIES = 4
CHUNK_BYTES = 1 << 16
PARTIAL, WHOLE, RANGE_NOT_SATISFIABLE = 206, 200, 416

Watcher = Callable[[int, int | None], None]
"""Called with the bytes on the disk so far, and the bytes in all where the server says."""


@dataclass(frozen=True)
class Digest:
    """What the file's bytes must hash to."""

    algorithm: Literal["sha256", "md5"]
    value: str

    def fits(self, path: Path) -> bool:
        """Whether the file is the pinned one."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest() == self.value


@dataclass(frozen=True)
class Remote:
    """A file: where it is, what it must be, and the most bytes it may have."""

    url: str
    digest: Digest
    largest_bytes: int


def download(remote: Remote, target: Path, watch: Watcher | None = None, timeout_s: float = TIMEOUT_S) -> Path:
    """Fetch `remote` to `target`, which appears only when it is whole and the pinned one.

    Goes on from `<target>.part` where the server can, and starts over where it cannot, or where what was gone on
    with turns out to be part of another file: the digest, not the server's word (If-Range), decides. Raises
    DownloadError that names the address: after TRIES failures in a row without a CHUNK_BYTES of progress, when
    the file is larger than it may be, or when it is not the pinned one; then the partial file is deleted, so
    that nothing wrong is ever resumed.
    """
    if target.is_file() and remote.digest.fits(target):
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch_pinned(remote, part, watch or (lambda done, total: None), timeout_s)
        return part.replace(target)
    except OSError as error:
        raise DownloadError(f"{target} could not be written: {error.strerror}.") from error


def _fetch_pinned(remote: Remote, part: Path, watch: Watcher, timeout_s: float) -> None:
    resumed = part.exists()
    _fetch_with_retries(remote, part, watch, timeout_s)
    if remote.digest.fits(part):
        return
    part.unlink()
    if resumed:
        _fetch_pinned(remote, part, watch, timeout_s)
        return
    raise DownloadError(
        f"{remote.url} is not the pinned file: its {remote.digest.algorithm} is not {remote.digest.value}. "
        "Nothing of it was kept."
    )


def _fetch_with_retries(remote: Remote, part: Path, watch: Watcher, timeout_s: float) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _fetch(remote, part, watch, timeout_s)
            return
        except httpx.RequestError as error:
            grew = part.exists() and part.stat().st_size >= before + CHUNK_BYTES
            failures = 1 if grew else failures + 1
            if failures >= TRIES:
                raise DownloadError(
                    f"{remote.url} could not be fetched: {type(error).__name__}. What has come is kept; try again."
                ) from error
            sleep(min(timeout_s, 0.2 * 2**failures))


def _fetch(remote: Remote, part: Path, watch: Watcher, timeout_s: float) -> None:
    done = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={done}-", "Accept-Encoding": "identity"} if done else {"Accept-Encoding": "identity"}
    with httpx.stream("GET", remote.url, headers=headers, timeout=timeout_s, follow_redirects=True) as response:
        if response.status_code == RANGE_NOT_SATISFIABLE:
            return
        if response.status_code not in (WHOLE, PARTIAL):
            raise DownloadError(f"{remote.url} answered with status {response.status_code}.")
        resumed = response.status_code == PARTIAL and _starts_at(response, done)
        if response.status_code == PARTIAL and not resumed:
            part.unlink()
            raise httpx.ReadError("the server resumed at another place")
        start = done if resumed else 0
        _write(response, remote, part, start, watch)


def _write(response: httpx.Response, remote: Remote, part: Path, start: int, watch: Watcher) -> None:
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    done = start
    with part.open("ab" if start else "wb") as file:
        for chunk in response.iter_bytes(CHUNK_BYTES):
            done += len(chunk)
            if done > remote.largest_bytes:
                file.close()
                part.unlink()
                raise DownloadError(f"{remote.url} is larger than {remote.largest_bytes} bytes, the most it may be.")
            file.write(chunk)
            watch(done, total)
    if total is not None and done < total:
        raise httpx.ReadError("the connection ended early")


def _starts_at(response: httpx.Response, place: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {place}-")
