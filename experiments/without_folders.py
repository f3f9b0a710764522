"""Settings without the folders of this machine, for what leaves it: they are called after persons and projects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


def without_folder(text: str) -> str:
    """Of an absolute path its last part: what is beside it in the study, its digest, says which it was."""
    windows = PureWindowsPath(text)
    if windows.drive and windows.root:
        return windows.name
    return PurePosixPath(text).name if text.startswith(("/", "~")) else text


def without_folders(value: Any) -> Any:
    """A setting, whatever it holds."""
    if isinstance(value, str):
        return without_folder(value)
    if isinstance(value, Mapping):
        return {without_folder(str(key)): without_folders(one) for key, one in value.items()}
    return [without_folders(one) for one in value] if isinstance(value, (list, tuple)) else value
