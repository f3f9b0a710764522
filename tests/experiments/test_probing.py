"""Probes of an encoder, from a run's folder to its page, and as questions to hospitals under every sum."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from client.asking.part import permitted
from client.asking.rules import QuestionRules
from client.features import encoder_from, featured_records, records_with
from client.hospital import open_hospital
from client.policy import Policy
from common.asking.exact_gram import on_grid
from common.asking.features import feature_name, features_of
from common.asking.question import Question
from common.errors import RefusedError, StudyError
from common.learning.parameters import new_network
from common.learning.start import digest_of, read_start
from common.study.options import Entry
from common.study.start import Start
from common.study.study import Study, parse
from experiments.approving.question_words import question_sentences
from experiments.asking.asking import ask_study
from experiments.cli import cli
from experiments.engines._quiet import run_quietly
from experiments.probing.curves import FLOOR, PRETRAINED, Asked, Row
from experiments.probing.studied import Studied
from experiments.probing.summary import cells_of
from tests.experiments.real_hospitals import RealHospitals, listing

SITES = 3
SUMS = {
    "plain": {},
    "secagg": {},
    "bfv": {"keys": "distributed"},
    "bfv with one key": {"keys": "shared"},
    "ckks": {},
}
ROUNDS = ("plain", "secagg", "bfv")
"""Under which Newton's rounds are asked too; all add up the same words."""
STUDY = """
title = "Without labels"
rounds = 1
seed = 12
aggregation = "plain"
engine = "inline"
task = { name = "simclr", network = { name = "mlp", hidden = [4] }, projection = 4, augmentation = "AUGMENTATION" }
[source]
name = "npz"
folder = "FOLDER"
classes = ["no", "yes"]
[training]
batch_size = 32
learning_rate = 0.01
[split]
validation = 0.0
test = 0.3
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Three hospitals of images whose class is how bright they are, and unlike mixtures."""
    folder = tmp_path_factory.mktemp("probed")
    rng = np.random.default_rng(1)
    for place in range(SITES):
        labels = (rng.random(40) < (place + 1) / 4).astype(np.int64)
        inputs = rng.random((40, 1, 6, 6)) * 0.8 + 0.15 * labels[:, None, None, None]
        names = np.array([f"{place}-{case}" for case in range(40)])
        np.savez(
            folder / f"site{place}.npz",
            inputs=inputs.astype(np.float32),
            targets=labels,
            patients=names,
            classes=np.array(["no", "yes"]),
        )
    return parse(STUDY.replace("FOLDER", str(folder)).replace("AUGMENTATION", "grey"))


@pytest.fixture(scope="module")
def run(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretraining run's folder."""
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    run_quietly(study, folder)
    return folder


@pytest.fixture(scope="module")
def pooled(study: Study, run: Path) -> dict[str, np.ndarray]:
    """Features of all hospitals' cases in one table, with their parts and classes."""
    taken = read_start(Start(str(run)))
    hospitals = [open_hospital(study.json, index) for index in range(SITES)]
    tables = [records_with(one, encoder_from(study, one.train.shape, taken)) for one in hospitals]
    return {
        "features": np.concatenate([features_of(one) for one in tables]),
        "class": np.concatenate([one.words("class") for one in tables]),
        "part": np.concatenate([one.words("part") for one in tables]),
    }


class Maps(torch.nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([inputs, -inputs], 1)


def test_an_encoder_of_maps_has_a_feature_for_each_channel_and_none_for_a_pixel(study: Study) -> None:
    """A table of products of all pixels' features is exact and takes for ever."""
    hospital = open_hospital(study.json, 0)
    own = parse(study.text, ["task={name='planted', network={name='unet', channels=4, depth=1}}"])
    assert features_of(records_with(hospital, encoder_from(own, hospital.train.shape, None))).shape[1] == 4
    means = features_of(records_with(hospital, Maps()))
    assert means.shape[1] == 2 and np.allclose(means[:, 0], -means[:, 1])


def asked(study: Study, folder: Path, *questions: Question) -> list[dict[str, Any]]:
    answered = ask_study(study, "probe", folder, questions)
    assert answered.all_have_one, answered.said_by_hospitals
    return [one["numbers"] for one in answered.table["answers"]]


def probe(name: str, **options: Any) -> Question:
    return Question(Entry(name, {"least": 1, "bins": 16, **options}))


def started(study: Study, run: Path, **more: Any) -> Study:
    return replace(study, start=Start(str(run)), **more)


@pytest.mark.parametrize("named", SUMS)
def test_under_every_sum_probes_are_those_of_scikit_learn_on_pooled_features(
    study: Study, run: Path, pooled: dict[str, np.ndarray], named: str, tmp_path: Path
) -> None:
    aggregation = Entry(named.partition(" ")[0], SUMS[named])
    several = [probe("probe_ridge", penalty=0.5), probe("probe_logistic")][: 1 + (named in ROUNDS)]
    found = asked(started(study, run, aggregation=aggregation), tmp_path / "asked", *several)
    trained = pooled["part"] == "train"
    scaler = StandardScaler().fit(pooled["features"][trained])
    scaled, truth = scaler.transform(pooled["features"][trained]), pooled["class"][trained] == "yes"
    oracles = (Ridge(alpha=0.5), LogisticRegression(C=1.0, tol=1e-12, solver="newton-cholesky"))
    for oracle, one in zip(oracles, found, strict=False):
        oracle.fit(scaled, truth)
        assert np.abs(np.array(one["coefficients"][-1]) * scaler.scale_ - oracle.coef_.reshape(-1)).max() < 1e-9
        assert one["features"] == 4


def test_a_study_of_the_whole_network_reads_the_encoder_that_it_takes_and_none_other(
    study: Study, run: Path, tmp_path: Path
) -> None:
    whole = replace(study, task=Entry("classification", {"network": {"name": "mlp", "hidden": [4]}}))
    network = new_network(whole.build_task(), open_hospital(study.json, 0).train.shape, study.seed)
    last = tuple(name for name, _ in network.named_parameters())[-2:]
    start = Start(str(run), part="encoder", fresh=last)
    of_parts, of_whole = (
        asked(one, tmp_path / str(place), probe("probe_ridge"))[0]
        for place, one in enumerate((replace(whole, start=start), started(study, run)))
    )
    assert of_parts["coefficients"] == of_whole["coefficients"]


def test_the_untrained_encoder_needs_no_model_and_is_another(study: Study, run: Path, tmp_path: Path) -> None:
    floor = asked(study, tmp_path / "floor", probe("probe_logistic", encoder="random"))[0]
    own = asked(started(study, run), tmp_path / "own", probe("probe_logistic"))[0]
    assert floor["coefficients"] != own["coefficients"]


def test_a_study_that_begins_from_nothing_has_no_encoder_to_probe(study: Study, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"add \[start\] model"):
        ask_study(study, "probe", tmp_path / "asked", [probe("probe_ridge")])
    with pytest.raises(StudyError, match=r"add \[start\] model"):
        replace(study, analyses=(Entry("probe_ridge"),))


def test_a_hospital_without_the_model_refuses_with_a_word(study: Study, run: Path) -> None:
    hospital = open_hospital(started(study, run).json, 0)
    with pytest.raises(RefusedError) as refused:
        featured_records(hospital, "start")
    assert refused.value.reason == "encoder"
    assert len(featured_records(hospital, "random")) == 40


def test_a_model_of_which_the_encoder_lacks_a_part_is_refused(study: Study, run: Path) -> None:
    taken = dict(read_start(Start(str(run))))
    lost = next(name for name in sorted(taken) if name.startswith("encoder."))
    del taken[lost]
    with pytest.raises(StudyError, match=lost):
        encoder_from(study, open_hospital(study.json, 0).train.shape, taken)


def test_the_features_of_a_case_are_the_same_alone_and_among_others(study: Study, run: Path) -> None:
    hospital = open_hospital(study.json, 0)
    encoder = encoder_from(study, hospital.train.shape, read_start(Start(str(run))))
    together = records_with(hospital, encoder)
    train = hospital.train
    alone = records_with(replace(hospital, splits={**hospital.splits, "train": train.take(np.array([3]))}), encoder)
    row = np.flatnonzero(together.persons == train.patients[3])
    same = np.flatnonzero(alone.persons == train.patients[3])
    assert features_of(together)[row].tolist() == features_of(alone)[same].tolist()
    assert on_grid(together.numbers(feature_name(0))).tolist() == features_of(together)[:, 0].tolist()


def test_a_policy_permits_features_by_one_word(study: Study) -> None:
    records = featured_records(open_hospital(study.json, 0), "random")

    def kept(*columns: str) -> set[str]:
        policy = Policy(questions=QuestionRules(columns=columns))
        return {name.partition("_")[0] for name in permitted(records, policy).columns}

    assert kept("class") == {"class"}
    assert kept("class", "features") == {"class", "feature", "part"}


def test_a_run_that_learns_gives_its_hospitals_the_model_where_it_lists_a_probe(
    study: Study, run: Path, tmp_path: Path
) -> None:
    start = Start(str(run), digest_of(read_start(Start(str(run)))))
    listed, bare = (replace(study, start=start, analyses=one) for one in ((Entry("probe_ridge"),), ()))
    digests = [
        run_quietly(one, tmp_path / str(len(one.analyses))).about["last_model_sha256"] for one in (listed, bare)
    ]
    assert digests[0] == digests[1]


def test_the_page_of_a_run_has_its_floor_and_what_was_asked_for(run: Path, tmp_path: Path) -> None:
    said = ["probe", str(run), "--share", "0.5", "--draws", "2", "--folder", str(tmp_path / "p")]
    more = ["--scratch", "--fine-tune", "--pooled", "--rounds", "1", "--json"]
    result = CliRunner().invoke(cli, [*said, *more])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "p" / "probe.json").read_text())
    assert json.loads(result.stdout) == found
    whole = {(one["encoder"], one["share"]): one for one in found["summary"] if one["site"] == "all hospitals"}
    assert len({encoder for encoder, _ in whole}) == 5
    assert whole[FLOOR, 0.5]["draws"] == whole[PRETRAINED, 0.5]["draws"] == 2
    labels = {one["labels"] for one in whole.values()}
    assert len(labels) == 1, "training and probe use the same labels"
    rows = list(csv.DictReader((tmp_path / "p" / "probe.csv").read_text().splitlines()))
    assert {row["hospital"] for row in rows} == {"all hospitals", "site0", "site1", "site2"}
    page = (tmp_path / "p" / "probe.html").read_text()
    assert FLOOR in page and "Hospital by hospital" in page
    again = CliRunner().invoke(cli, said)
    assert again.exit_code == 1 and "already holds a probe" in again.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("more", "words"),
    [(["--method", "logistc"], "logistic"), (["--share", "2"], "at most 1"), (["--option", "c=-1"], "above zero")],
)
def test_wrong_words_are_answered_with_the_right_ones(run: Path, tmp_path: Path, more: list[str], words: str) -> None:
    result = CliRunner().invoke(cli, ["probe", str(run), "--folder", str(tmp_path / "p"), *more])
    assert result.exit_code == 1
    assert words in result.output.replace("\n", " ")


def test_a_folder_without_a_model_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no run folder with a model"):
        Studied.of(tmp_path)


def test_the_floor_is_always_asked_for() -> None:
    assert Asked().encoders[:2] == (PRETRAINED, FLOOR)
    assert Asked().steps == 3 + 3 + 1 + 3 + 3 + 3


def test_an_interval_is_over_patients_and_draws() -> None:
    def row(encoder: str, draw: int, auc: float) -> Row:
        found = {"auc": auc, "auc_error": 0.03, "accuracy": 0.5, "balanced_accuracy": None}
        return Row(encoder, 0.1, draw, {"no": 5, "yes": 5}, {"all hospitals": found})

    rows = [row(PRETRAINED, 0, 0.8), row(PRETRAINED, 1, 0.9), row(FLOOR, 0, 0.7)]
    own, floor = cells_of(rows)
    half = 1.959963984540054 * (0.03**2 + 0.005 / 2) ** 0.5
    assert (own.auc, own.above_floor, floor.above_floor) == (pytest.approx(0.85), pytest.approx(0.15), None)
    assert (own.low, own.high) == (pytest.approx(0.85 - half), pytest.approx(min(1, 0.85 + half)))


def test_whoever_approves_reads_that_cases_are_shown_to_an_encoder(study: Study, run: Path, tmp_path: Path) -> None:
    listed = started(study, run, analyses=(Entry("probe_ridge"), Entry("probe_ridge", {"encoder": "random"})))
    said = " ".join(question_sentences(listed, tmp_path))
    assert "start.sha256" in said and "never trained" in said


def test_real_hospitals_are_given_the_model_that_they_approved_and_answer_as_simulated_ones(
    study: Study, run: Path, tmp_path: Path
) -> None:
    start = Start(str(run), digest_of(read_start(Start(str(run)))))
    ridge, floor = probe("probe_ridge"), probe("probe_ridge", encoder="random")
    secret = replace(study, start=start, aggregation=Entry("secagg"))
    waits = replace(secret.federation, start_timeout_s=20.0, dropout_wait_s=0.0)
    data = {f"site{place}": tmp_path / f"site{place}" for place in range(SITES)}
    for site, place in data.items():
        place.mkdir()
        (place / f"{site}.npz").write_bytes((Path(str(study.source.options["folder"])) / f"{site}.npz").read_bytes())
    hospitals = RealHospitals(tmp_path, data, '[questions]\ncolumns = ["class", "features"]\n')
    approved = hospitals.approved(listing(replace(secret, federation=waits), ridge, floor))
    answers = hospitals.ask(approved, "first", ridge, floor)["answers"]
    assert [one["state"] for one in answers] == ["answered", "answered"], answers
    simulated = asked(replace(study, start=start), tmp_path / "simulated", ridge, floor)
    assert [one["numbers"]["coefficients"] for one in answers] == [one["coefficients"] for one in simulated]
    assert all(
        (hospitals.folder_of(site) / "start-models" / f"{start.sha256}.safetensors").is_file() for site in data
    )
    for site in data:
        (hospitals.folder_of(site) / "policy.toml").write_text('[questions]\ncolumns = ["class"]\n')
    refused = hospitals.ask(approved, "second", ridge)["answers"][0]
    assert refused["state"] == "no answer" and "lack a column" in refused["reason"], refused["reason"]


def test_test_cases_that_a_study_withholds_are_not_probed(study: Study, run: Path, tmp_path: Path) -> None:
    withheld = tmp_path / "withheld"
    withheld.mkdir()
    federation = replace(study.federation, withhold_test=True)
    (withheld / "study.toml").write_text(replace(study, federation=federation).text)
    (withheld / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    result = CliRunner().invoke(cli, ["probe", str(withheld)])
    assert result.exit_code == 1 and "evaluated=validation" in result.output.replace("\n", " ")
