"""A model in a TorchScript file (`torch.jit.save`); scored, never trained.

TorchScript is a program. So a hospital runs it only where its policy lists it, by its digest, beside plug-ins:
plugins = ["torchscript:<sha256>"]; a simulation runs what its own user names.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import nn

from common.data.cases import Shape
from common.errors import StudyError, first_line
from common.learning.networks._foreign import Answers, ForeignModel, Layout, Values, demand_digest, file_of
from common.learning.task import Network
from common.study.plugins import current_trust

TRACED_BEFORE = (
    ".pt2 and state dictionaries are other formats: torch.jit.save(torch.jit.script(model), path) writes it"
)


@dataclass(frozen=True)
class TorchScript:
    """file: the TorchScript file. sha256: of its bytes; a simulation does without.

    answers: what it answers with, "logits" or "probabilities" of each class, or of two classes a single "logit"
    or "probability" of class 1. layout: of images, as the file wants them.
    """

    has_weights: ClassVar[bool] = True

    file: str
    sha256: str | None = None
    answers: Answers = "logits"
    layout: Layout = "channels_first"

    def __post_init__(self) -> None:
        demand_digest("torchscript", self.sha256)

    def build(self, shape: Shape) -> nn.Module:
        """The model, without a parameter. Raises StudyError where the file is absent, broken, or not to be run."""
        self._demand_trust()
        data, about = file_of("torchscript", self.file, self.sha256)
        model = _loaded(data, about["file"])

        def answer(case: Values) -> NDArray[Any]:
            with torch.no_grad():
                found = model(torch.from_numpy(case))
            if not isinstance(found, torch.Tensor):
                raise TypeError(f"it answers with {type(found).__name__}, not with one tensor")
            return found.float().numpy()

        return ForeignModel(answer, self.answers, self.layout, about)

    def _demand_trust(self) -> None:
        trust = current_trust()
        listed = trust.modules is None or (self.sha256 is not None and f"torchscript:{self.sha256}" in trust.modules)
        if not trust.files and not listed:
            raise StudyError(
                "network 'torchscript' is a program, which was not run: a hospital's policy.toml lists it, "
                f'plugins = ["torchscript:{self.sha256 or "<sha256>"}"], once its engineers have looked at it.'
            )


def _loaded(data: bytes, file: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.load(BytesIO(data), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except Exception as error:
        line = first_line(error)
        raise StudyError(f"network 'torchscript': {file} cannot be used: {line}. {TRACED_BEFORE}.") from error


network: type[Network] = TorchScript
