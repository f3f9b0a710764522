"""TensorBoard's event files, written by PyTorch's own writer: `tensorboard --logdir FOLDER` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from common.errors import StudyError
from common.files.access import private_folder
from experiments.tracking.told import Scalar

LONGEST_NAME = 200
ABSENT = "TensorBoard is not installed: pip install 'wardround[tracking]'."


@dataclass
class TensorBoard:
    """folder: of all runs; each run is a folder of its own in it."""

    folder: Path
    _writer: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        try:
            import_module("tensorboard")
        except ImportError as error:
            raise StudyError(ABSENT) from error

    def begin(self, title: str, name: str, settings: Mapping[str, str]) -> None:
        """Open the run's files; its settings are shown as text."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(private_folder(self.folder, _folder_name(name))))
        rows = "\n".join(f"| {key} | {value} |" for key, value in settings.items())
        self._writer.add_text("study", f"{title}\n\n| setting | value |\n|---|---|\n{rows}")

    def log(self, scalars: list[Scalar]) -> None:
        """One point a number."""
        for one in scalars:
            self._writer.add_scalar(one.name, one.value, one.round)
        self._writer.flush()

    def end(self, state: str, facts: Mapping[str, str]) -> None:
        """Close the files."""
        self._writer.add_text("run", "\n".join(f"- {key}: {value}" for key, value in facts.items()))
        self._writer.close()


def _folder_name(name: str) -> str:
    """A run folder's files, which may be a stranger's, say the name: of a folder in ours, and no way out of it."""
    plain = "".join(one if one.isalnum() or one in " -_." else "_" for one in name)
    return plain.encode()[:LONGEST_NAME].decode(errors="ignore").strip(" .") or "run"
