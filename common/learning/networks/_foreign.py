"""Models that others trained: a file with its own weights, which is scored and never trained.

Such a file does not travel. Each hospital's engineers install it, and the study that its people approve names it by
its SHA-256: another file is not opened. In a hospital it lies in the folder that `models` of policy.toml names, and
the study says the file's name alone; a simulation takes the path as it is.

A case passes alone, so that its score does not depend on the others of a batch, and hospitals' scores merge exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import FileError, StudyError
from common.files.access import read_all
from common.study.plugins import current_trust

LARGEST_BYTES = 1 << 31
SMALLEST_CHANCE = 1e-12

Answers = Literal["logits", "probabilities", "logit", "probability"]
Layout = Literal["channels_first", "channels_last"]
Values = NDArray[np.float32]
Answer = Callable[[Values], NDArray[Any]]


class ForeignModel(nn.Module):
    """Answers cases one by one. about: for the run's records, which file it is."""

    def __init__(self, answer: Answer, answers: Answers, layout: Layout, about: Mapping[str, str]) -> None:
        super().__init__()
        self.answer, self.answers, self.layout, self.about = answer, answers, layout, dict(about)

    def __deepcopy__(self, memo: object) -> ForeignModel:
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, ...) in, (N, classes, ...) logits out, in the precision of the inputs."""
        return torch.cat([self._one(case[None]) for case in inputs.detach().float()]).to(inputs.dtype)

    def _one(self, case: Tensor) -> Tensor:
        shown = case.movedim(1, -1) if self.layout == "channels_last" and case.dim() > 2 else case
        raw = torch.from_numpy(np.array(self.answer(np.ascontiguousarray(shown.numpy())), np.float64))
        raw = raw.reshape(1, 1) if raw.dim() < 2 else raw
        if self.layout == "channels_last" and raw.dim() > 2:
            raw = raw.movedim(-1, 1)
        return _logits(raw, self.answers)


def demand_digest(kind: str, digest: str | None) -> None:
    """Raise StudyError for what is no SHA-256."""
    if digest is not None and (len(digest) != 64 or set(digest) - set("0123456789abcdef")):
        raise StudyError(f"network {kind!r}: sha256 must be 64 hexadecimal digits, a-f small; it is {digest!r}.")


def file_of(kind: str, file: str, digest: str | None) -> tuple[bytes, Mapping[str, str]]:
    """The file's bytes, once they are those of the study, and what to record of it. Raises StudyError."""
    path = _place(kind, file, digest)
    try:
        data = read_all(path, LARGEST_BYTES)
    except FileError as error:
        raise StudyError(f"network {kind!r}: {error}. A relative path begins at the study's folder.") from error
    found = sha256(data).hexdigest()
    if digest is not None and found != digest:
        raise StudyError(f"network {kind!r}: {path.name} has the SHA-256 {found}, and the study names {digest}.")
    return data, {"file": path.name, "format": kind, "sha256": found}


def _place(kind: str, file: str, digest: str | None) -> Path:
    trust = current_trust()
    if trust.files:
        return Path(file).expanduser()
    if digest is None:
        raise StudyError(f"network {kind!r}: a study of real hospitals names the file by its sha256; write it.")
    if trust.models is None:
        raise StudyError(
            f"network {kind!r}: the file {Path(file).name!r} was not opened: no folder of models is named here. A "
            'hospital names its own in policy.toml, models = "models", and whoever coordinates in WARDROUND_MODELS.'
        )
    return trust.models / Path(file).name


def _logits(raw: Tensor, answers: Answers) -> Tensor:
    if answers == "logits":
        return raw
    if answers == "probabilities":
        return raw.clamp(min=SMALLEST_CHANCE).log()
    if answers == "logit":
        return torch.cat([torch.zeros_like(raw), raw], 1)
    chance = raw.clamp(SMALLEST_CHANCE, 1 - SMALLEST_CHANCE)
    return torch.cat([(1 - chance).log(), chance.log()], 1)
