"""A real PACS for tests: Debian's Orthanc with its DICOMweb plug-in, on a free port of this machine."""

from __future__ import annotations

import atexit
import io
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from pydicom import Dataset

PLUGINS = (Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"), Path("/usr/lib/orthanc/libOrthancDicomWeb.so"))
USER, PASSWORD = "reader", "correct horse"
LONGEST_START_S = 60


@dataclass(frozen=True)
class Orthanc:
    """A running one. url: of its DICOMweb service. root: of its own interface."""

    url: str
    root: str

    def put(self, made: Iterable[Dataset]) -> None:
        """Store data sets as they are."""
        with _client() as client:
            for one in made:
                content = io.BytesIO()
                one.save_as(content, enforce_file_format=True)
                client.post(f"{self.root}/instances", content=content.getvalue()).raise_for_status()

    def put_files(self, paths: Iterable[Path]) -> None:
        """Store files as they are."""
        with _client() as client:
            for path in paths:
                client.post(f"{self.root}/instances", content=path.read_bytes()).raise_for_status()

    def remove(self, level: str, uid: str) -> None:
        """Remove a Study, Series or Instance by its UID."""
        with _client() as client:
            for one in client.post(f"{self.root}/tools/lookup", content=uid).json():
                if one["Type"] == level:
                    client.delete(self.root + one["Path"]).raise_for_status()

    def clear(self) -> None:
        """Remove all."""
        with _client() as client:
            for one in client.get(f"{self.root}/patients").json():
                client.delete(f"{self.root}/patients/{one}").raise_for_status()


def write_settings(folder: Path, url: str, **more: Any) -> Path:
    """A hospital's `pacs.toml`, its password in a file beside it; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    table = {"url": url, "user": USER, "password_file": "password", "recheck_s": 0, "retries": 1, **more}
    lines = [f"{name} = {json.dumps(value)}" for name, value in table.items() if value is not None]
    (folder / "pacs.toml").write_text("\n".join(lines) + "\n")
    (folder / "password").write_text(PASSWORD + "\n")
    for name in ("pacs.toml", "password"):
        (folder / name).chmod(0o600)
    return folder


@contextmanager
def running(folder: Path) -> Iterator[Orthanc]:
    """Start one with its store in `folder`; skip the test, saying so, where it is not installed."""
    program = shutil.which("Orthanc") or shutil.which("/usr/sbin/Orthanc")
    plugin = next((one for one in PLUGINS if one.exists()), None)
    if program is None or plugin is None:
        pytest.skip("Orthanc and its DICOMweb plug-in are not installed: apt install orthanc orthanc-dicomweb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            root = f"http://127.0.0.1:{port}"
            _wait(process, root, folder / "log")
            yield Orthanc(f"{root}/dicom-web", root)
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()


def _wait(process: subprocess.Popen[bytes], root: str, log: Path) -> None:
    end = time.monotonic() + LONGEST_START_S
    with _client() as client:
        while time.monotonic() < end and process.poll() is None:
            try:
                client.get(f"{root}/system").raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.02)
            else:
                return
    raise AssertionError(log.read_text())


def _client() -> httpx.Client:
    """It speaks plain HTTP: the authorities that a client reads by default are more work than what it is asked."""
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(auth=(USER, PASSWORD), verify=nobody, trust_env=False, timeout=30)


_running: ExitStack = ExitStack()
_shared: list[Orthanc] = []


def shared() -> Orthanc:
    """One for all tests of this process that have no fixture, empty; it ends with the process."""
    if not _shared:
        folder = Path(_running.enter_context(TemporaryDirectory()))
        _shared.append(_running.enter_context(running(folder)))
        atexit.register(_running.close)
    _shared[0].clear()
    return _shared[0]


def shared_as_it_is() -> Orthanc:
    """The same, with what is in it."""
    return _shared[0]
