"""Parameters that do not travel in rounds: the hospital's own, and those of the model that a study begins from.

Its own (training.personal) learn in every round that it takes part in, are kept as all its state is
(`client.state_store`), and are put into the network before whatever uses it. A hospital that has not trained yet has
the first ones, which the study's seed or model gives.

A model that a study begins from ([start]) comes once, whole, before the first round, where a part of it does not
travel: it is frozen, or the hospitals' own; or where questions read features of its encoder. It must have the digest
in the study that the hospital approved; it is kept on the hospital's disk by that digest, and compared with it again
whenever it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from math import prod

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from torch import nn

from client.hospital import Hospital
from client.protocol_context import folder_of
from common.errors import FileError, HospitalError, StudyError, WireError
from common.files.access import is_there, private_folder
from common.files.tensor_files import SUFFIX, read_tensors, write_tensors
from common.learning.parameters import first_personal, read_personal, remember_first_personal, write_personal
from common.learning.start import Taken, checked, is_given, put, shapes_taken
from common.study.start import Start
from common.sums.exchange import Payload
from common.sums.update import Vector
from common.wire.train_requests import HAS_MODEL

FOLDER = "start-models"
OWN = "personal"
_PUT = "_start_model_put"

Memory = MutableMapping[str, Vector]


def put_own(network: nn.Module, memory: Mapping[str, Vector]) -> None:
    """Let the network have the parts that this hospital kept, or else the first ones."""
    first = first_personal(network)
    kept = memory.get(OWN, first)
    if kept.shape != first.shape:
        raise HospitalError("the parts that this hospital kept are of another model.")
    write_personal(network, kept)


def keep_own(network: nn.Module, memory: Memory) -> None:
    """What the round leaves."""
    own = read_personal(network)
    if own.size:
        memory[OWN] = own


def told(hospital: Hospital, context: Context) -> dict[str, str]:
    """Beside a hospital's description: the digest of the model that it needs and has."""
    start = _needed(hospital)
    return {} if start is None or _kept(hospital, context, start) is None else {HAS_MODEL: str(start.sha256)}


def take(context: Context, hospital: Hospital, request: Payload, kept: object) -> Payload:
    """Keep the model that the study begins from, if it is that one. Raises WireError where it is not."""
    start = _needed(hospital)
    if start is None:
        raise WireError("a model was sent, and the study begins from none that would have to be.")
    tensors = _named(hospital, start, request.array)
    try:
        taken = checked(start, tensors, tensors)
    except StudyError as error:
        raise WireError("another model came than the one that the study names.") from error
    _keep(context, start, taken)
    return Payload(words={HAS_MODEL: str(start.sha256)})


def put_start(hospital: Hospital, context: Context) -> Taken | None:
    """Put what does not travel of the study's model into the network; the model, where hospitals are given it.

    Raises HospitalError where it never came.
    """
    start = _needed(hospital)
    if start is None:
        return None
    taken = model_in(hospital.network)
    if taken is None:
        taken = _kept(hospital, context, start)
        if taken is None:
            raise HospitalError("the model that the study begins from was not given to this hospital.")
        put(hospital.network, taken)
        setattr(hospital.network, _PUT, taken)
        remember_first_personal(hospital.network)
    return taken


def model_in(network: nn.Module) -> Taken | None:
    """The model that the study begins from, once it is in the network."""
    found: Taken | None = getattr(network, _PUT, None)
    return found


def _needed(hospital: Hospital) -> Start | None:
    """Raises HospitalError where the study that was approved does not say which model: any would do."""
    start = hospital.study.start
    if start is None or not is_given(hospital.study, hospital.network):
        return None
    if start.sha256 is None:
        raise HospitalError("the study does not say by start.sha256 which model it begins from.")
    return start


def _named(hospital: Hospital, start: Start, flat: Vector | None) -> Taken:
    """A flat vector as parameters, in the order of their names."""
    shapes = shapes_taken(hospital.network, start)
    sizes = [prod(shape) for shape in shapes.values()]
    if flat is None or flat.shape != (sum(sizes),):
        raise WireError(f"the study's model has {sum(sizes)} numbers; {0 if flat is None else flat.size} came.")
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def _keep(context: Context, start: Start, taken: Taken) -> None:
    folder = folder_of(context)
    if folder is not None:
        private_folder(folder / FOLDER, durable=True)
        write_tensors(folder / FOLDER, f"{start.sha256}{SUFFIX}", dict(taken), durable=True)
        return
    flat = np.concatenate([taken[name].reshape(-1) for name in sorted(taken)]).astype("<f4")
    array = Array(dtype="float32", shape=flat.shape, stype="raw", data=flat.tobytes())
    context.state[f"{FOLDER}/{start.sha256}"] = ArrayRecord({"flat": array})


def _kept(hospital: Hospital, context: Context, start: Start) -> Taken | None:
    """None where there is none, or another one than the study's, which is asked for again."""
    folder, name = folder_of(context), f"{start.sha256}{SUFFIX}"
    try:
        if folder is not None:
            if not is_there(folder / FOLDER, name):
                return None
            tensors: Taken = read_tensors(folder / FOLDER, name).tensors
        else:
            record = context.state.get(f"{FOLDER}/{start.sha256}")
            if not isinstance(record, ArrayRecord):
                return None
            tensors = _named(hospital, start, np.frombuffer(record["flat"].data, dtype="<f4").copy())
        shapes = {key: tensor.shape for key, tensor in tensors.items()}
        return checked(start, tensors, tensors) if shapes == shapes_taken(hospital.network, start) else None
    except (FileError, StudyError, WireError):
        return None
