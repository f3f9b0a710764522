"""`[start]`: the model that a federation begins from, in the place of one that the seed draws."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from common.errors import StudyError
from common.study.checks import listed

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Start:
    """model: a safetensors file, a run folder of ours, or a study's folder of runs, such as "runs/pretrain_lgg", of
    which the newest is meant that has ended. Only whoever coordinates reads it, from any place.

    sha256: of the parameters that are taken, by name, little-endian float32, hexadecimal: of a whole model of ours
    what its summary.json calls model_sha256. A simulation fills it in. It is what hospitals approve, and what they
    check the parameters of the first round against. part: what of the model is meant, such as "encoder": parameters
    under it are taken by the names that they have within it. only: patterns of names, such as "encoder.*": these are
    taken, and all others are drawn from the seed. (): all. fresh: patterns of names that are drawn all the same, such
    as those of a last layer. `--set start=none`: the same study without any of it, as what to compare with.
    """

    model: str
    sha256: str | None = None
    part: str = ""
    only: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise StudyError("start.model names no file: write the path of a model.safetensors, or of a run folder.")
        if self.sha256 is not None and not _DIGEST.fullmatch(self.sha256):
            raise StudyError(f"start.sha256 must be 64 hexadecimal digits, a-f small; it is {self.sha256!r}.")
        listed("start", least=0, only=self.only, fresh=self.fresh)

    def takes(self, name: str) -> bool:
        """Whether the network's parameter of that name comes from the model."""
        return (not self.only or _fits(name, self.only)) and not _fits(name, self.fresh)

    def within(self, name: str) -> str | None:
        """What the model's parameter of that name is called in the network; None where it is of another part."""
        if not self.part:
            return name
        return name.removeprefix(f"{self.part}.") if name.startswith(f"{self.part}.") else None


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
