"""By which groups of persons a hospital tells a model's scores: by one choice of groups a model, whatever study asks.

Two studies whose bands differ by one year would have scores that differ by the persons of that year alone. A model
that was changed a little is another one: that is left to those who approve the studies.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np

from common.errors import WireError
from common.files.access import create, read
from common.study.own_weights import digest_of_weights
from common.study.study import Study
from common.sums.update import Vector

FOLDER = "told-groups"
LARGEST_BYTES = 1 << 12


def tell_once(folder: Path | None, data: str, study: Study, parameters: Vector) -> None:
    """Write the study's groups down before their scores are told. data: the place of this hospital's cases.

    Raises WireError where other groups were told of this model before. Where there is no folder nothing is kept.
    """
    if folder is None or not study.report.subgroups:
        return
    model = sha256(np.ascontiguousarray(parameters, "<f4").tobytes()).hexdigest()
    name = _digest([data, model, digest_of_weights(study.task)])
    groups = _digest([list(study.report.subgroups), study.report.least_cell]).encode()
    if not create(folder / FOLDER, name, groups) and read(folder / FOLDER, name, LARGEST_BYTES) != groups:
        raise WireError(
            "scores of this model were told by other groups of persons before (report.subgroups, report.least_cell): "
            "the differences would be of few. Score it by the same groups, or another model."
        )


def _digest(parts: list[object]) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()
