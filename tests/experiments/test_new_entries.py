"""What `wardround new` writes is whole: every kind of entry is written, and used as the command says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.asking.pooled import ask_tables
from common.errors import StudyError
from common.study.catalogue import ANALYSES, ATTRIBUTIONS
from common.study.options import Entry
from common.study.plugins import ANYTHING, NOTHING, trusting
from common.study.study import Study, parse
from experiments.commands.new import USES
from experiments.engines._quiet import run_quietly
from wardround.testing import tiny_records
from wardround.testing.attributions import drawn, mapped, small_network

Wardround = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with trusting(ANYTHING):
        yield


@pytest.fixture
def written(wardround: Wardround, tmp_path: Path) -> Callable[[str], str]:
    """The file of a kind, as the command writes it."""

    def write(kind: str) -> str:
        code, said = wardround("new", kind, f"ward_{kind}")
        assert code == 0, said
        file = f"ward_{kind}.py"
        assert said.splitlines()[0] == f"Wrote {file}." and said.splitlines()[2].startswith("Test:   wardround ")
        assert USES[kind].format(file=file) in said
        return file

    return write


def test_a_source_and_a_task_that_were_written_learn(written: Callable[[str], str], wardround: Wardround) -> None:
    source, task = written("source"), written("task")
    lines = ('title = "New"', "rounds = 6", f"source = {source!r}", f"task = {task!r}", 'engine = "inline"')
    Path("study.toml").write_text("\n".join(lines))
    code, said = wardround("run", "study.toml", "--folder", "run")
    assert code == 0, said
    score = json.loads(Path("run/summary.json").read_text())["headline"]
    assert score["score"] == "accuracy" and score["federated"] > 0.7


def test_the_parts_of_learning_that_were_written_run_together(
    written: Callable[[str], str], tiny: Callable[..., Study], tmp_path: Path
) -> None:
    kinds = ("network", "loss", "strategy", "aggregation", "partition", "engine")
    files = {kind: written(kind) for kind in kinds}
    task = f"task={{name='classification', network='{files['network']}', loss='{files['loss']}'}}"
    own = [f"{kind}='{files[kind]}'" for kind in ("strategy", "aggregation", "partition", "engine")]
    study = tiny("rounds=2", task, *own)
    assert set(study.plugins) == {str(tmp_path / file) for file in files.values()}
    outcome = run_quietly(study, tmp_path / "run")
    assert outcome.about["plugins"] == study.plugins and outcome.about["model_sha256"]
    assert float((tmp_path / "run" / "seconds.txt").read_text()) > 0


def test_an_augmentation_that_was_written_is_known_by_its_digest_and_makes_the_views_of_a_study(
    written: Callable[[str], str], tiny: Callable[..., Study], wardround: Wardround, tmp_path: Path
) -> None:
    file = written("augmentation")
    options = f"augmentation={{name='{file}', strength=0.3}}, network={{name='mlp', hidden=[8]}}"
    chosen = ("rounds=1", f"task={{name='simclr', projection=8, {options}}}", "baselines={local=false, pooled=false}")
    study = tiny(*chosen)
    assert list(study.plugins) == [str(tmp_path / file)]
    outcome = run_quietly(study, tmp_path / "run")
    assert outcome.about["plugins"] == study.plugins and outcome.about["model_sha256"]
    code, said = wardround("export", "run", "--torchscript", "encoder.pt", "--trust-code")
    assert code == 0, said
    with trusting(NOTHING), pytest.raises(StudyError, match="names code of its own, file"):
        tiny(*chosen)
    Path(file).write_text(Path(file).read_text().replace("shown = images", "shown = images[:, :, 1:]"))
    with pytest.raises(StudyError, match="must give views of shape"):
        run_quietly(tiny(*chosen), tmp_path / "other")


def test_an_operator_that_was_written_measures_the_images_of_a_study(
    written: Callable[[str], str], tmp_path: Path
) -> None:
    file = written("operator")
    images = "{ name = 'phantom', hospitals = 2, patients = [4, 4], slices_per_patient = 2, size = 16 }"
    network = "{ name = 'unet', channels = 2, depth = 2 }"
    scanners = f"['{file}', {{ name = '{file}', shadow = 0.7 }}]"
    lines = (
        "title = 'Own'\nrounds = 1\naggregation = 'plain'\nengine = 'inline'",
        "baselines = { local = false, pooled = false }",
        f"source = {{ name = 'acquired', images = {images}, operators = {scanners} }}",
        f"task = {{ name = 'postprocessed', operator = '{file}', network = {network} }}",
    )
    study = parse("\n".join(lines))
    assert list(study.plugins) == [str(tmp_path / file)]
    outcome = run_quietly(study, tmp_path / "run")
    assert outcome.about["plugins"] == study.plugins and outcome.about["model_sha256"]


def test_an_attribution_that_was_written_explains_a_network_by_its_file(
    written: Callable[[str], str], tmp_path: Path
) -> None:
    file = str(tmp_path / written("attribution"))
    inputs = drawn((1, 8, 8))
    found = mapped(ATTRIBUTIONS.build(Entry(file, {"looks": 2})), small_network((1, 8, 8)), inputs)
    assert found.shape == inputs.shape and found.min() >= 0 and found.max() > 0


def test_a_mechanism_that_was_written_hides_patients(
    written: Callable[[str], str], tiny: Callable[..., Study], tmp_path: Path
) -> None:
    study = tiny("rounds=1", "strategy=fedsgd", "training={batch_size=8}", f"privacy='{written('mechanism')}'")
    run_quietly(study, tmp_path / "run")
    promised = json.loads((tmp_path / "run" / "privacy.json").read_text())
    assert promised["unit"] == "patient" and all(one["rounds"] == 1 for one in promised["sites"].values())


@pytest.mark.usefixtures("few_attacks")
def test_an_attack_that_was_written_is_part_of_an_audit(
    written: Callable[[str], str], tiny: Callable[..., Study], wardround: Wardround, tmp_path: Path
) -> None:
    attack = written("attack")
    run_quietly(
        tiny("rounds=1", "strategy=fedsgd", "training={batch_size=1}", "federation.record_traffic=true"),
        tmp_path / "run",
    )
    code, said = wardround("audit", "run", "--seconds", "0.5", "--attack", attack)
    assert code == 0, said
    trials = json.loads((tmp_path / "run" / "audit.json").read_text())["trials"]
    own = [trial for trial in trials if trial["attack"] == Path(attack).stem]
    assert own and all(trial["possible"] and trial["figures"] for trial in own)
    assert all(len(trial["settings"]["plugin_sha256"]) == 64 for trial in own)
    Path(attack).write_text(
        Path(attack).read_text().replace("if not observed.singles:", "raise ValueError('x')\n        if 0:")
    )
    code, said = wardround("audit", "run", "--seconds", "0.5", "--attack", attack)
    assert code == 1 and "failed: ValueError: x" in said
    assert "it failed: ValueError: x" in (tmp_path / "run" / "audit.json").read_text()


def test_an_analysis_that_was_written_answers(written: Callable[[str], str]) -> None:
    analysis = ANALYSES.build(Entry(written("analysis"), {"column": "age"}))
    numbers = ask_tables(analysis, tiny_records()).answer.numbers
    assert numbers["n"] == 24 and numbers["share"] == numbers["above"] / 24


def test_a_benchmark_that_was_written_is_measured(written: Callable[[str], str], wardround: Wardround) -> None:
    code, said = wardround("bench", written("benchmark"))
    assert code == 0 and "Averaging" in said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("task", "classification"), "there is already a task 'classification'"),
        (("network", "3d"), "a name is a word of letters, digits and _"),
        (("network", "class"), "a name is a word of letters, digits and _"),
        (("strategy", "numpy"), "needs for something else"),
        (("loss", "pickle"), "the name of a module"),
        (("source", "common"), "needs for something else"),
        (("source", "cases"), "needs for something else"),
        (("analysis", "mean"), "there is already an analysis 'mean'"),
        (("netwrk", "mine"), "did you mean 'network'"),
        (("network", "ward", "--out", "held.py"), "is there already, and nothing is overwritten"),
        (("network", "ward", "--out", "ward.txt"), "must be a Python file"),
        (("network", "ward", "--out", "held.py/ward.py"), "is no folder"),
    ],
)
def test_what_would_stand_in_the_way_of_something_else_is_not_written(
    wardround: Wardround, words: tuple[str, ...], reason: str
) -> None:
    Path("held.py").write_text("mine")
    code, said = wardround("new", *words)
    assert code == 1 and reason in said
    assert [path.name for path in Path().iterdir()] == ["held.py"] and Path("held.py").read_text() == "mine"


@pytest.mark.parametrize("kind", ["tasks", "strategies", "Networks", "losses", "analyses"])
def test_a_kind_may_be_named_as_the_list_names_it(wardround: Wardround, kind: str) -> None:
    assert wardround("new", kind, "ward_one")[0] == 0
