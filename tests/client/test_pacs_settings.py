"""A hospital's `pacs.toml`: what it may say, and who may have written it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from client.sources._pacs_settings import read_settings
from client.sources.dicomweb import DicomWeb
from common.errors import SourceError, StudyError
from tests.client.orthanc import write_settings


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"url": "ftp://pacs"}, "https://host:port/path"),
        ({"url": "https://user:word@pacs/x"}, "must not hold a password"),
        ({"url": "https://pacs/x?y=z"}, "https://host:port/path"),
        ({"url": "https://pacs:port/x"}, "no address"),
        ({"url": "http://pacs.example.org/x"}, "anybody on the way"),
        ({"token_file": "token"}, "one of them"),
        ({"retries": 100}, "between 0 and 20"),
        ({"page": 0}, "between 1 and 1000"),
        ({"urll": "x"}, "url"),
        ({"certificate": "a"}, "certificate and key"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, Any], reason: str, tmp_path: Path) -> None:
    folder = write_settings(tmp_path, **{"url": "https://pacs/dicom-web", **settings})
    with pytest.raises((StudyError, SourceError), match=reason):
        read_settings(folder)


def test_settings_that_others_can_write_and_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    folder = write_settings(tmp_path, "http://127.0.0.1:9/x")
    (folder / "password").chmod(0o644)
    with pytest.raises(SourceError, match="chmod 600"):
        DicomWeb(str(folder)).cases(None, 0)
    (folder / "pacs.toml").chmod(0o666)
    with pytest.raises(SourceError, match="can be written by others"):
        DicomWeb(str(folder)).cases(None, 0)
    (folder / "pacs.toml").chmod(0o600)
    if os.geteuid() == 0:
        os.chown(folder / "pacs.toml", 12345, 12345)
        with pytest.raises(SourceError, match="another user"):
            DicomWeb(str(folder)).cases(None, 0)


def test_a_folder_without_settings_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no pacs.toml in .* url = "):
        DicomWeb(str(tmp_path)).cases(None, 0)
