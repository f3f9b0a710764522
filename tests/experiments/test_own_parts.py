"""Whole runs whose hospitals have parameters that do not travel: of a given model, frozen; or their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from safetensors.numpy import load_file

from client import own_parts
from client.handlers import RequestContext
from client.hospital import open_hospital
from client.state_store import RECORD
from common.errors import StudyError, WireError
from common.learning.parameters import Layout, first_personal
from common.learning.start import digest_of, shapes_taken, with_digest
from common.study.study import Study
from common.sums.exchange import Payload
from experiments.engines._quiet import run_quietly
from experiments.evidence.observing import observe
from experiments.prediction.trained import load_trained
from experiments.study_view import study_facts
from server import run as conduct
from wardround import load

NETWORK = "task.network={name='mlp', hidden=[4]}"
HIDDEN, LAST = ("1.bias", "1.weight"), ("3.bias", "3.weight")


@pytest.fixture
def names(tiny: Callable[..., Study]) -> list[str]:
    return sorted(Layout.of(open_hospital(tiny(NETWORK).json, 0).network).shapes)


def context_of(folder: Path | None, **config: str | int) -> Context:
    given = {**config, **({} if folder is None else {"folder": str(folder)})}
    return Context(run_id=1, node_id=1, node_config=given, state=RecordDict(), run_config={})


def personal_of(folder: Path, rounds: int) -> dict[str, np.ndarray]:
    """What every hospital kept after the last round."""
    found = sorted(folder.glob(f"hospitals/*/{RECORD}/*/{rounds:06d}.safetensors"))
    return {path.parents[2].name: load_file(path)[own_parts.OWN] for path in found}


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_a_pretrained_encoder_stays_frozen_and_reaches_every_hospital_on_every_engine(
    tiny: Callable[..., Study], tmp_path: Path, names: list[str], aggregation: str
) -> None:
    run_quietly(tiny(NETWORK, "seed=9"), tmp_path / "first")
    first = load_file(tmp_path / "first" / "model.safetensors")
    frozen, digests = names[:2], set()
    begun = (f"start.model={tmp_path / 'first'}", f"training.freeze={frozen}")
    options = (NETWORK, *begun, f"aggregation={aggregation}")
    for engine in ("inline", "processes"):
        outcome = run_quietly(tiny(*options, f"engine={engine}"), tmp_path / engine)
        digests.add(outcome.about["model_sha256"])
        model = load_file(tmp_path / engine / "model.safetensors")
        assert all(np.array_equal(model[name], first[name]) for name in frozen)
        assert all(not np.array_equal(model[name], first[name]) for name in names[2:])
        assert not (tmp_path / engine / "problems.jsonl").exists()
    assert len(digests) == 1
    trained = load_trained(tmp_path / "inline")
    assert np.array_equal(dict(trained.network.named_parameters())[frozen[0]].detach().numpy(), first[frozen[0]])
    held = dict(load(tmp_path / "inline").model().named_parameters())
    assert np.array_equal(held[frozen[0]].detach().numpy(), first[frozen[0]])


def test_hospitals_train_behind_the_frozen_part_of_the_model_and_not_of_the_seed(
    tiny: Callable[..., Study], tmp_path: Path, names: list[str]
) -> None:
    """The same learned part at first, and other frozen ones: the first training losses differ."""
    losses = []
    for seed in (9, 10):
        run_quietly(tiny(NETWORK, f"seed={seed}"), tmp_path / str(seed))
        only = f"start.only={names[:2]}"
        begun = (NETWORK, f"start.model={tmp_path / str(seed)}", only, f"training.freeze={names[:2]}", "rounds=1")
        losses.append(run_quietly(tiny(*begun, "aggregation=plain"), tmp_path / f"on-{seed}").rounds[0]["training"])
    assert losses[0] != losses[1]


def test_a_run_that_goes_on_sends_the_model_only_to_hospitals_that_lost_it(
    tiny: Callable[..., Study], tmp_path: Path, names: list[str]
) -> None:
    run_quietly(tiny(NETWORK, "seed=9"), tmp_path / "first")
    options = (NETWORK, f"start.model={tmp_path / 'first'}", f"training.freeze={names[:2]}")
    whole = run_quietly(tiny(*options, "rounds=3"), tmp_path / "whole").about["model_sha256"]
    run_quietly(tiny(*options, "rounds=2"), tmp_path / "part")
    shutil.rmtree(tmp_path / "first")
    lost, damaged = sorted((tmp_path / "part" / "hospitals").iterdir())[:2]
    shutil.rmtree(lost / own_parts.FOLDER)
    next((damaged / own_parts.FOLDER).iterdir()).write_bytes(b"no model")
    outcome = run_quietly(tiny(*options, "rounds=3"), tmp_path / "part", resume=True)
    assert outcome.about["model_sha256"] == whole
    kinds = json.loads((tmp_path / "part" / "traffic.json").read_text())["kinds"]
    assert [row["messages"] for row in kinds if (row["leg"], row["content"]) == ("start", "receipt")] == [2]


@pytest.mark.parametrize("fault", ["short", "other", "nan", "none"])
@pytest.mark.parametrize("has_folder", [True, False])
def test_a_hospital_keeps_no_model_but_the_one_that_the_study_names(
    tiny: Callable[..., Study], tmp_path: Path, names: list[str], fault: str, has_folder: bool
) -> None:
    run_quietly(tiny(NETWORK, "seed=9"), tmp_path / "first")
    study = with_digest(tiny(NETWORK, f"start.model={tmp_path / 'first'}", f"training.freeze={names[:2]}"))
    hospital, start = open_hospital(study.json, 0), study.start
    assert start is not None
    model = load_file(tmp_path / "first" / "model.safetensors")
    flat = np.concatenate([model[name].reshape(-1) for name in shapes_taken(hospital.network, start)])
    context = context_of(tmp_path / "own" if has_folder else None)
    wrong = {"short": flat[:-1], "other": flat + 1, "nan": flat * np.float32(np.nan), "none": None}[fault]
    kept = RequestContext({}, lambda: pytest.fail("no protocol"), None)  # type: ignore[arg-type]
    with pytest.raises(WireError):
        own_parts.take(context, hospital, Payload(wrong), kept)
    assert own_parts.told(hospital, context) == {}
    own_parts.take(context, hospital, Payload(flat), kept)
    assert own_parts.told(hospital, context) == {"start_model": start.sha256 == digest_of(model) and start.sha256}


def test_a_model_that_the_study_does_not_need_is_refused(tiny: Callable[..., Study]) -> None:
    hospital = open_hospital(tiny(NETWORK).json, 0)
    kept = RequestContext({}, lambda: pytest.fail("no protocol"), None)  # type: ignore[arg-type]
    with pytest.raises(WireError, match="begins from none"):
        own_parts.take(context_of(None), hospital, Payload(np.zeros(3, np.float32)), kept)


def test_heads_stay_in_their_hospitals_differ_and_are_the_same_on_every_engine(
    tiny: Callable[..., Study], tmp_path: Path, names: list[str]
) -> None:
    head = names[2:]
    kept, digests = [], set()
    for engine in ("inline", "processes"):
        study = tiny(NETWORK, f"training.personal={head}", f"engine={engine}", "federation.record_traffic=true")
        outcome = run_quietly(study, tmp_path / engine)
        digests.add(outcome.about["model_sha256"])
        kept.append(personal_of(tmp_path / engine, study.rounds))
    assert len(digests) == 1 and kept[0].keys() == kept[1].keys() and len(kept[0]) >= 3
    assert all(np.array_equal(kept[0][site], kept[1][site]) for site in kept[0])
    assert len({one.tobytes() for one in kept[0].values()}) == len(kept[0])
    model, network = load_file(tmp_path / "inline" / "model.safetensors"), open_hospital(study.json, 0).network
    first = np.concatenate([model[name].reshape(-1) for name in head])
    assert np.array_equal(first, first_personal(network))
    assert outcome.about["parameters"] == sum(model[name].size for name in names[:2])
    with pytest.raises(StudyError, match="hospitals keep"):
        observe(tmp_path / "inline")


def test_a_run_that_goes_on_has_the_hospitals_own_parts_of_the_round_before(
    tiny: Callable[..., Study], tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the server crashed after the hospitals had trained a round that it never wrote down."""
    options = (NETWORK, f"training.personal={names[2:]}")
    whole = run_quietly(tiny(*options, "rounds=3"), tmp_path / "whole")
    kept = conduct.Conductor._keep

    def crash(self: conduct.Conductor, rounds: object, checkpoint: conduct.Checkpoint, record: object) -> None:
        if checkpoint.round == 2:
            raise KeyboardInterrupt
        kept(self, rounds, checkpoint, record)  # type: ignore[arg-type]

    monkeypatch.setattr(conduct.Conductor, "_keep", crash)
    with pytest.raises(KeyboardInterrupt):
        run_quietly(tiny(*options, "rounds=3"), tmp_path / "part")
    monkeypatch.setattr(conduct.Conductor, "_keep", kept)
    outcome = run_quietly(tiny(*options, "rounds=3"), tmp_path / "part", resume=True)
    assert outcome.about["model_sha256"] == whole.about["model_sha256"]
    assert outcome.final == whole.final
    first, second = personal_of(tmp_path / "whole", 3), personal_of(tmp_path / "part", 3)
    assert all(np.array_equal(first[site], second[site]) for site in first)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("strategy=fedsgd",), "takes none there"),
        (("strategy=scaffold",), "no gradient of training.personal is sent"),
        (("privacy={name='dpsgd', noise_multiplier=1.0, delta=1e-3}",), "remove one of the two"),
        (("stopping.patience=2",), "keep = 'last'"),
    ],
)
def test_what_does_not_go_with_parts_that_stay_is_refused(
    tiny: Callable[..., Study], names: list[str], options: tuple[str, ...], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        tiny(NETWORK, f"training.personal={names[2:]}", *options)


def test_those_who_approve_are_told_what_stays(tiny: Callable[..., Study], names: list[str]) -> None:
    told = " ".join(study_facts(tiny(NETWORK, f"training.personal={names[2:]}")))
    assert "stay in the hospital" in told and names[2] in told
