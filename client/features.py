"""What an encoder makes of a hospital's cases, for the questions that read it.

Each case is shown to the encoder alone and in double precision, so that its features depend on nothing else. The
encoder is that of the model which the study begins from: it came to the hospital whole, and has the digest in the
study that its people approved. A case without features would be in no sum: an encoder that takes some cases and
overflows at others would choose persons unseen, and is refused. Or it is the study's network as the seed draws it,
untrained.
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
from client.revealing_encoders import refuse_alone, refuse_revealing
from client.source import Source
from client.splitting import UNLABELLED
from common.asking.features import LEAST, PART, feature_name, features_of
from common.asking.records import Records, joined
from common.data.cases import Cases, Shape
from common.errors import RefusedError, StudyError
from common.learning.abilities import shown_shape
from common.learning.device import exact_copy
from common.learning.parameters import new_network
from common.learning.start import Taken, put
from common.selfsupervision.encoder import encoder_within
from common.study.catalogue import SOURCES
from common.study.study import Study

WARM = b"features "
REFUSED, TRAIN = "encoder", "train"
Features = NDArray[np.float64]


def featured_records(hospital: Hospital, which: str, is_judged: bool = False) -> Records:
    """Every case with its features and its part. which: "start" or "random". Kept while the hospital is warm.

    is_judged: whether the encoder must not be made to tell single persons, `client.revealing_encoders`.
    Raises RefusedError where the hospital has no such encoder, cases do not fit it, or it is refused.
    """
    key = WARM + which.encode()
    kept = hospital.hashes.get(key)
    if isinstance(kept, Records):
        return kept
    encoder = _encoder(hospital, which)
    kept = records_with(hospital, encoder)
    if is_judged:
        _judge(hospital, encoder, kept, which)
    hospital.hashes[key] = kept
    return kept


def _encoder(hospital: Hospital, which: str) -> nn.Module:
    taken = model_in(hospital.network) if which == "start" else None
    if which == "start" and taken is None:
        raise RefusedError(REFUSED, "the study's encoder was not given to this hospital ([start] model).")
    try:
        return encoder_from(hospital.study, hospital.train.shape, taken)
    except StudyError as error:
        raise RefusedError(REFUSED, str(error)) from error


def _judge(hospital: Hospital, encoder: nn.Module, found: Records, which: str) -> None:
    """By itself, and beside the other encoder of the study: exact sums of both may be subtracted."""
    train = hospital.everybody[TRAIN]
    own = _judged_features(found)
    refuse_revealing(encoder, train, own)
    if model_in(hospital.network) is not None:
        beside = records_with(hospital, _encoder(hospital, "random" if which == "start" else "start"))
        both = np.concatenate([own, _judged_features(beside)], axis=1)
        refuse_alone(both, train.patients)


def _judged_features(records: Records) -> Features:
    """(N, D) of the training cases, as they are told."""
    return features_of(replace(records.take(records.words(PART) == TRAIN), least=LEAST))


def records_with(hospital: Hospital, encoder: nn.Module) -> Records:
    """Every case with what an encoder in double precision makes of it, and its part.

    Raises RefusedError where cases do not fit the encoder.
    """
    source = cast(Source, SOURCES.build(hospital.study.source))
    tables = []
    for part, cases in hospital.everybody.items():
        records = records_of_cases(cases, source, hospital.site)
        features = _features(encoder, cases)
        columns: dict[str, Any] = {feature_name(place): column for place, column in enumerate(features.T)}
        columns[PART] = np.full(len(cases), part, dtype=f"<U{len(UNLABELLED)}")
        tables.append(replace(records, columns={**records.columns, **columns}))
    return joined([one for one in tables if len(one)] or tables[:1], hospital.site)


def encoder_from(study: Study, shape: Shape, taken: Taken | None, seed: int | None = None) -> nn.Module:
    """The encoder of a study's network for cases of `shape`, in double precision.

    taken: parameters of the model that the study begins from; None: as `seed` draws them, or the study's.
    Raises StudyError where the network has no encoder, or the model none of some of its parameters.
    """
    task = study.build_task()
    network = new_network(task, shape, study.seed if seed is None else seed)
    if taken is not None:
        put(network, taken)
    encoder, beginning = encoder_within(task, network, shown_shape(task, shape))
    own = [f"{beginning}{name}" for name, _ in encoder.named_parameters()]
    untrained = [name for name in own if taken is not None and name not in taken]
    if untrained:
        raise StudyError(f"the study's model has no {untrained[0]}, which its encoder would need.")
    return exact_copy(encoder).cpu().eval()


def _features(encoder: nn.Module, cases: Cases) -> Features:
    """(N, D). Of an encoder that answers a map, the mean over all places: no feature is of a pixel."""
    found: list[Features] = []
    with torch.no_grad():
        for index in range(len(cases)):
            inputs = cases.batch(np.array([index])).inputs.double()
            try:
                answered = _over_places(encoder(inputs)).reshape(-1).numpy()
            except RuntimeError as error:
                raise RefusedError(REFUSED, f"the encoder cannot take case {index}: {error}") from error
            if bool(inputs.isfinite().all()) and not np.isfinite(answered).all():
                raise RefusedError(REFUSED, f"the encoder makes no finite features of case {index}.")
            found.append(answered)
    return np.stack(found) if found else np.zeros((0, 0))


def _over_places(answered: torch.Tensor) -> torch.Tensor:
    return answered.flatten(2).mean(2) if answered.ndim > 2 else answered
