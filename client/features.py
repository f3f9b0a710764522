"""What an encoder makes of a hospital's cases, for the questions that read it.

Each case is shown to the encoder alone and in double precision, so that its features depend on nothing else. The
encoder is that of the model which the study begins from: it came to the hospital whole, and has the digest in the
study that its people approved. Or it is the study's network as the seed draws it, untrained.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.hospital import Hospital
from client.own_parts import model_in
from client.records import records_of_cases
from client.source import Source
from client.splitting import UNLABELLED
from common.asking.features import PART, feature_name
from common.asking.records import Records, joined
from common.data.cases import Cases
from common.errors import RefusedError, StudyError
from common.learning.abilities import shown_shape
from common.learning.device import exact_copy
from common.learning.parameters import new_network
from common.learning.start import put
from common.selfsupervision.encoder import encoder_within
from common.study.catalogue import SOURCES

WARM = b"features "
REFUSED = "encoder"
Features = NDArray[np.float64]


def featured_records(hospital: Hospital, which: str) -> Records:
    """Every case with its features and its part. which: "start" or "random". Kept while the hospital is warm.

    Raises RefusedError where the hospital has no such encoder, or cases do not fit it.
    """
    key = WARM + which.encode()
    kept = hospital.hashes.get(key)
    if not isinstance(kept, Records):
        kept = hospital.hashes[key] = _featured(hospital, _encoder(hospital, which))
    return kept


def _featured(hospital: Hospital, encoder: nn.Module) -> Records:
    source = cast(Source, SOURCES.build(hospital.study.source))
    tables = []
    for part, cases in hospital.everybody.items():
        records = records_of_cases(cases, source, hospital.site)
        features = _features(encoder, cases)
        columns: dict[str, Any] = {feature_name(place): column for place, column in enumerate(features.T)}
        columns[PART] = np.full(len(cases), part, dtype=f"<U{len(UNLABELLED)}")
        tables.append(replace(records, columns={**records.columns, **columns}))
    return joined([one for one in tables if len(one)] or tables[:1], hospital.site)


def _encoder(hospital: Hospital, which: str) -> nn.Module:
    study, task = hospital.study, hospital.task
    shape = shown_shape(task, hospital.train.shape)
    network = new_network(task, hospital.train.shape, study.seed)
    taken = model_in(hospital.network)
    if which == "start":
        if taken is None:
            raise RefusedError(REFUSED, "the study's encoder was not given to this hospital ([start] model).")
        put(network, taken)
    try:
        encoder, beginning = encoder_within(task, network, shape)
    except StudyError as error:
        raise RefusedError(REFUSED, str(error)) from error
    own = [f"{beginning}{name}" for name, _ in encoder.named_parameters()]
    untrained = [] if taken is None or which != "start" else [name for name in own if name not in taken]
    if untrained:
        raise RefusedError(REFUSED, f"the study's model has no {untrained[0]}, which its encoder would need.")
    return exact_copy(encoder).cpu().eval()


def _features(encoder: nn.Module, cases: Cases) -> Features:
    """(N, D)."""
    found: list[Features] = []
    with torch.no_grad():
        for index in range(len(cases)):
            inputs = cases.batch(np.array([index])).inputs.double()
            try:
                found.append(encoder(inputs).reshape(-1).numpy())
            except RuntimeError as error:
                raise RefusedError(REFUSED, f"the encoder cannot take case {index}: {error}") from error
    return np.stack(found) if found else np.zeros((0, 0))
