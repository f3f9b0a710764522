"""A model in an ONNX file, of whatever library trained it; scored, never trained.

It runs in onnxruntime, which must be installed. ONNX is data, but its reader is written in C++, and so sees only
bytes whose SHA-256 the study names and that the hospital's own engineers installed: nothing that a peer sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from common.data.cases import Shape
from common.errors import StudyError, first_line
from common.learning.networks._foreign import Answers, ForeignModel, Layout, Values, demand_digest, file_of
from common.learning.task import Network
from common.study.spelling import unknown

NOWHERE = "/dev/null/"
"""Where weights outside of the file are looked for: no digest covers those in whatever folder this process is in."""
FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class Onnx:
    """file: the ONNX file. sha256: of its bytes; a simulation does without.

    answers: what it answers with: "logits" of each class (for regression: the number that is learned),
    "probabilities" of each class, or of two classes a single "logit" or "probability" of class 1. output: which of
    its outputs, where it has several. layout: of images, as the file wants them.
    """

    has_weights: ClassVar[bool] = True

    file: str
    sha256: str | None = None
    answers: Answers = "logits"
    output: str = ""
    layout: Layout = "channels_first"

    def __post_init__(self) -> None:
        demand_digest("onnx", self.sha256)

    def build(self, shape: Shape) -> nn.Module:
        """The model, without a parameter. Raises StudyError where onnxruntime or the file is absent, or broken."""
        data, about = file_of("onnx", self.file, self.sha256)
        session = _session(data, about["file"])
        inputs, outputs = session.get_inputs(), [one.name for one in session.get_outputs()]
        if len(inputs) != 1 or inputs[0].type not in FLOATS:
            given = ", ".join(f"{one.name}: {one.type}" for one in inputs)
            raise StudyError(
                f"network 'onnx': {about['file']} must take one array of real numbers; it takes {given}."
            )
        if self.output and self.output not in outputs:
            raise unknown(f"output of {about['file']}", self.output, outputs)
        name, kind, wanted = inputs[0].name, FLOATS[inputs[0].type], self.output or outputs[0]

        def answer(case: Values) -> NDArray[Any]:
            try:
                (found,) = session.run([wanted], {name: case.astype(kind)})
            except Exception as error:
                raise RuntimeError(first_line(error)) from error
            if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
                raise ValueError(
                    f"its output {wanted!r} is no array of real numbers; outputs are {', '.join(outputs)}"
                )
            return found

        return ForeignModel(answer, self.answers, self.layout, about)


def _session(data: bytes, file: str) -> Any:
    """On one thread of the processor, the same bits every time."""
    try:
        onnxruntime = import_module("onnxruntime")
    except ImportError as error:
        raise StudyError("network 'onnx' needs onnxruntime: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NOWHERE)
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own kinds, one for each fault
        raise StudyError(
            f"network 'onnx': {file} cannot be used: {first_line(error)}. Weights in a file beside it are not read: "
            "save them in the ONNX file itself."
        ) from error


network: type[Network] = Onnx
