"""After the last round every hospital holds the signed model, its card and its own scores, and predicts with it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from safetensors.numpy import load_file

from client.delivered_models import place_of
from client.hospital import site_names
from common.consortium.members import CoordinatorKeys, MemberKeys, MemberList, write_members
from common.errors import StudyError
from common.files.access import is_there
from common.study.study import Study
from common.sums import identity
from experiments.engines.inline import Inline
from experiments.prediction.trained import UNSIGNED, load_trained
from server.app import app
from server.model_delivery import HandingOut
from server.run_folder import RunFolder

Run = Callable[..., Path]
MEMBERS = {f"alike-{digit}": MemberKeys(digit.encode() * 32, digit.encode() * 97, digit * 64) for digit in "12"}


@pytest.fixture
def handed(tmp_path: Path) -> Run:
    """A run whose coordinator signs. listed: the key in the hospitals' member lists; None: they have no list."""

    def run(study: Study, listed: bytes | None = b"", resume: bool = False) -> Path:
        key = identity.create(tmp_path / "coordinator")
        folder, sites = tmp_path / "run", site_names(study)
        for site in sites if listed is not None else ():
            place = folder / "hospitals" / site
            place.mkdir(parents=True, exist_ok=True)
            write_members(place, MemberList("Aorta", MEMBERS, CoordinatorKeys(listed or key, "0" * 64), 1))
        config: dict[str, Any] = {"study": study.json, "run-folder": str(folder), "hospitals": len(sites)}
        config |= {"simulated": True, "signing-folder": str(tmp_path / "coordinator"), "resume": resume}
        Inline().run(server_app=app, client_app="client.app:app", sites=sites, run_config=config, folder=folder)
        return folder

    return run


def places(folder: Path, study: Study) -> dict[str, Path]:
    run, digest = json.loads((folder / "run.json").read_text())["run"], sha256(study.json.encode()).hexdigest()
    return {site: folder / "hospitals" / site / place_of(digest, run) for site in site_names(study)}


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "handed-out.json").read_text())
    return found


def test_every_hospital_holds_the_signed_model_its_card_and_its_own_scores(
    handed: Run, tiny: Callable[..., Study]
) -> None:
    study = tiny("rounds=2")
    folder = handed(study)
    shared, told = load_file(folder / "model.safetensors"), json.loads((folder / "final.json").read_text())
    for site, place in places(folder, study).items():
        kept = load_file(place / "model.safetensors")
        assert kept.keys() == shared.keys() and all(np.array_equal(kept[name], shared[name]) for name in kept)
        scores = json.loads((place / "scores.json").read_text())
        assert {split: told[split]["sites"][site] for split in scores} == scores
        about = json.loads((place / "about.json").read_text())
        assert about["signed_by"] == b64encode(identity.create(folder.parent / "coordinator")).decode()
        assert "no medical device" in (place / "card.md").read_text()
        assert load_trained(place).model_sha256 == about["model_sha256"] == record(folder)["model_sha256"]
        assert {path.stat().st_mode & 0o077 for path in place.rglob("*")} == {0}
    assert record(folder)["have"] == list(site_names(study)) and record(folder)["lack"] == {}
    kinds = json.loads((folder / "traffic.json").read_text())["kinds"]
    assert {one["direction"] for one in kinds if one["leg"] == "keep"} == {"to hospital", "to server"}


def test_without_a_signing_key_nothing_is_handed_out(tiny: Callable[..., Study], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no key to sign"):
        HandingOut(tmp_path / "nobody", RunFolder(tmp_path)).check()


def test_a_model_that_somebody_else_signed_is_refused_and_the_record_says_who_lacks_it(
    handed: Run, tiny: Callable[..., Study]
) -> None:
    study = tiny("rounds=1")
    folder = handed(study, listed=Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    assert record(folder)["have"] == [] and sorted(record(folder)["lack"]) == list(site_names(study))
    assert not any(is_there(place, "about.json") for place in places(folder, study).values())
    incidents = next(iter(places(folder, study).values())).parents[2] / "incidents.log"
    assert "not signed by the coordinator" in incidents.read_text()


def test_without_a_member_list_the_model_is_kept_as_unsigned(handed: Run, tiny: Callable[..., Study]) -> None:
    study = tiny("rounds=1", "baselines.local=false")
    folder = handed(study, listed=None)
    about = [json.loads((place / "about.json").read_text()) for place in places(folder, study).values()]
    assert {one["signed_by"] for one in about} == {None}
    assert load_trained(next(iter(places(folder, study).values()))).remark == UNSIGNED


def test_whoever_missed_the_model_gets_it_when_the_run_is_resumed(handed: Run, tiny: Callable[..., Study]) -> None:
    study = tiny("rounds=1")
    folder = handed(study, listed=Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    assert record(folder)["have"] == []
    handed(study, resume=True)
    assert record(folder)["have"] == list(site_names(study)) and record(folder)["lack"] == {}
    before = {place: (place / "about.json").stat().st_mtime_ns for place in places(folder, study).values()}
    handed(study, resume=True)
    assert before == {place: (place / "about.json").stat().st_mtime_ns for place in before}


def test_parts_that_stay_are_each_hospitals_own(handed: Run, tiny: Callable[..., Study]) -> None:
    study = tiny("rounds=2", "training.personal=['*.bias']", "audit.after_run=false")
    folder = handed(study)
    told = json.loads((folder / "final.json").read_text())
    biases = []
    for site, place in places(folder, study).items():
        kept = load_file(place / "model.safetensors")
        biases.append(np.concatenate([kept[name].ravel() for name in sorted(kept) if name.endswith("bias")]))
        assert json.loads((place / "scores.json").read_text())["test"] == told["test"]["sites"][site]
        load_trained(place)
    assert len({one.tobytes() for one in biases}) == len(biases)


def test_scores_of_a_withheld_test_are_not_computed(handed: Run, tiny: Callable[..., Study]) -> None:
    study = tiny("rounds=1", "federation.withhold_test=true", "baselines.local=false")
    for place in places(handed(study), study).values():
        assert set(json.loads((place / "scores.json").read_text())) == {"validation"}
