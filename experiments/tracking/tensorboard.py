"""TensorBoard's event files, written by PyTorch's own writer: `tensorboard --logdir FOLDER` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from common.errors import StudyError
from experiments.tracking.told import Scalar

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

        self._writer = SummaryWriter(str(self.folder / name))
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
