"""The model that a run ended with, kept by every hospital of it: `models/<study digest>/<run>/` in its own folder.

model.safetensors    all parameters; those that stay in the hospital are its own
study.toml           the study that it approved, for `wardround predict` and `wardround evaluate`
roster.json          what cases the model is for, as this hospital has them, and the study's hospitals
card.md              the coordinator's words about the model: text from elsewhere, shown and never obeyed
scores.json          of this very model on this hospital's own cases, worked out here and sent nowhere
about.json           written last: digests, and whose signature it was

The hospital checks what it can: that the study is approved, that it took part in this run, that the parameters are of
its network, and, where the consortium's member list names the coordinator's key, its signature over model, card,
study and run. Without that list the model is kept and marked as unsigned. A run has one model: once it is kept, no
other is put in its place, unless the hospital's own people moved it away.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flwr.app import Context
from torch import nn

from client.answered_rounds import was_answered
from client.evaluation import evaluate
from client.handlers import RequestContext
from client.hospital import Hospital
from client.own_parts import put_own
from client.protocol_context import folder_of
from client.source_abilities import digest_of_columns
from common.consortium.members import members_if_there
from common.errors import HospitalError, WireError
from common.files.access import names, private_folder, write
from common.files.json_files import read_table, write_json
from common.files.tensor_files import write_tensors
from common.learning.abilities import presented, shown_shape
from common.learning.parameters import kept, read
from common.learning.parameters import write as write_parameters
from common.metrics.roc import with_auc
from common.study.catalogue import SOURCES
from common.study.fine_tuning import FINE_TUNED
from common.study.schedule import final_splits
from common.study.study import parse_json
from common.sums.exchange import Payload
from common.wire.handed_model import KEPT, HandedModel, from_payload
from common.wire.train_requests import run_of, study_json

FOLDER, MODEL, STUDY, ROSTER = "models", "model.safetensors", "study.toml", "roster.json"
CARD, SCORES, ABOUT = "card.md", "scores.json", "about.json"
MOST_OF_A_STUDY = 32
"""Runs whose models are kept: a coordinator that makes up ever new runs fills no disk with models."""


def take(context: Context, hospital: Hospital, request: Payload, own: RequestContext) -> Payload:
    """Keep the model. Raises WireError where it is none of this run, or not signed by whom it should be."""
    folder, run = folder_of(context), run_of(request)
    if folder is None:
        raise HospitalError("this hospital has no folder to keep a model in.")
    if not was_answered(folder, hospital.digest, run):
        raise WireError("a model came of a run that this hospital took no part in.")
    model = from_payload(request, read(hospital.network).size)
    signer = _signer(folder, model, hospital.digest, run)
    _refuse_another(folder, hospital.digest, run, model)
    write_parameters(hospital.network, model.parameters)
    put_own(hospital.network, own.vectors)
    _write(folder, hospital, parse_json(study_json(request)).text, run, model, signer)
    return Payload(words={KEPT: model.model_sha256})


def place_of(study: str, run: str) -> str:
    """Below the hospital's folder. study: its digest."""
    return f"{FOLDER}/{study}/{run or 'run'}"


def _refuse_another(folder: Path, study: str, run: str, model: HandedModel) -> None:
    """Predictions of today and of a year from now are of one model, whatever a coordinator signs meanwhile."""
    place, others = folder / place_of(study, run), names(folder, f"{FOLDER}/{study}")
    before = read_table(place, ABOUT).get("model_sha256")
    if before not in (None, model.model_sha256):
        raise WireError(
            f"another model came of a run whose model is kept already: {place}. Whoever wants the other one moves "
            "that folder away first."
        )
    if place.name not in others and len(others) >= MOST_OF_A_STUDY:
        raise WireError(f"models of {len(others)} runs of this study are kept: move those away that nobody needs.")


def _signer(folder: Path, model: HandedModel, study: str, run: str) -> bytes | None:
    """The key of the coordinator, which signed; None where the hospital knows none."""
    listed = members_if_there(folder)
    if listed is None:
        return None
    key = listed.coordinator.identity
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(model.signature, model.statement(study, run))
    except (InvalidSignature, ValueError):
        raise WireError("the model is not signed by the coordinator that the member list names.") from None
    return key


def _write(folder: Path, hospital: Hospital, study: str, run: str, model: HandedModel, signer: bytes | None) -> None:
    """All of it on the disk, `about.json` last. study: as TOML, with nothing of where this hospital's data lie."""
    place = private_folder(folder, place_of(hospital.digest, run), durable=True)
    tensors = {name: np.array(one.detach().cpu().numpy(), np.float32) for name, one in kept(hospital.network)}
    write_tensors(place, MODEL, tensors, durable=True)
    write(place, STUDY, study, durable=True)
    write_json(place, ROSTER, _roster(hospital), durable=True)
    write(place, CARD, model.card, durable=True)
    write_json(place, SCORES, _scores(hospital, hospital.network), durable=True)
    about = {
        "state": "completed",
        "title": hospital.study.title,
        "site": hospital.site,
        "study_sha256": hospital.digest,
        "run": run,
        "model_of_round": model.of_round,
        "model_sha256": model.model_sha256,
        "signed_by": None if signer is None else b64encode(signer).decode(),
        "signature": b64encode(model.signature).decode(),
        "kept": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(place, ABOUT, about, durable=True)


def _roster(hospital: Hospital) -> dict[str, Any]:
    """As a run's roster: what cases have, and who took part."""
    return {
        "sites": [{"site": site} for site in hospital.roster],
        "shape": list(shown_shape(hospital.task, hospital.train.shape).inputs),
        "classes": list(hospital.train.classes),
        "columns": digest_of_columns(SOURCES.build(hospital.study.source)),
    }


def _scores(hospital: Hospital, network: nn.Module) -> Mapping[str, Mapping[str, float | None]]:
    """On the parts that a last model is scored on: none of a test that the study withholds."""
    splits = [name for name in final_splits(hospital.study) if name != FINE_TUNED]
    means = {name: evaluate(hospital.task, network, hospital.splits[name]) for name in splits}
    return {name: dict(presented(hospital.task, with_auc(found))) for name, found in means.items() if found}
