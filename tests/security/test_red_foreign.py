"""Code and files that are not ours: run or opened only where whoever began the work agreed, and only as they were."""

from __future__ import annotations

import csv
import io
import json
import os
import py_compile
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import cache_from_source
from pathlib import Path

import numpy as np
import pytest

from client.policy import POLICY_FILE, read_policy
from common.data.cases import Shape
from common.errors import StudyError, WardroundError
from common.files.tensor_files import write_tensors
from common.learning.networks.onnx import Onnx
from common.study import plugins
from common.study.catalogue import LOSSES, NETWORKS
from common.study.plugins import ANYTHING, Reference, noted, trusting
from common.study.study import parse
from experiments.commands._study_text import NOT_OURS
from experiments.evaluating import evaluation_of
from experiments.exporting.card import card_of
from experiments.prediction.inputs import new_files
from experiments.prediction.results import _csv
from experiments.prediction.trained import load_trained
from experiments.running.patient_scores import score_patients
from experiments.tracking.finished import tell
from experiments.tracking.tensorboard import TensorBoard
from experiments.tracking.told import settings_of
from experiments.without_folders import without_folders
from tests.ended import ended
from wardround import load
from wardround.testing.__main__ import tried

STUDY = """
title = "A run of somebody"
rounds = 1
seed = 0
source = {{ name = "phantom", hospitals = 2, patients = [4], slices_per_patient = 1, size = 16 }}
task = {{ name = "segmentation", network = {network} }}
aggregation = "plain"
engine = "inline"
"""
UNET = '{ name = "unet", channels = 2, depth = 1 }'
GOOD = "def mark():\n    return 'read'\n"


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports, it alone has imported."""
    before, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("red_", "wardround_plugin_")):
            del sys.modules[name]
    sys.path[:] = path
    plugins._digests.clear()


def leaving(mark: Path) -> str:
    return f"from pathlib import Path\nPath({str(mark)!r}).write_text('run')\n"


def compiled_over(source: Path, code: str) -> None:
    """A compiled file that Python takes for the source's without comparing them."""
    kept = source.read_bytes()
    source.write_text(code)
    Path(source.parent / "__pycache__").mkdir(exist_ok=True)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), cache_from_source(str(source)), doraise=True, invalidation_mode=unchecked)
    source.write_bytes(kept)


def test_a_compiled_file_beside_the_source_is_not_run_in_its_place(tmp_path: Path) -> None:
    """The digest is of the source, and so is what people read before they approve it."""
    (tmp_path / "red_helper.py").write_text(GOOD)
    (tmp_path / "red_pack").mkdir()
    (tmp_path / "red_pack" / "__init__.py").write_text("")
    compiled_over(tmp_path / "red_helper.py", leaving(tmp_path / "was-run"))
    compiled_over(tmp_path / "red_pack" / "__init__.py", leaving(tmp_path / "was-run"))
    (tmp_path / "red_own.py").write_text("import red_pack\nimport red_helper\nloss = red_helper.mark\n")
    with trusting(ANYTHING):
        assert Reference.of(str(tmp_path / "red_own.py")).module().loss() == "read"  # type: ignore[union-attr]
    assert not (tmp_path / "was-run").exists()


def test_nor_is_one_of_a_module_that_a_policy_lists_by_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "red_package").mkdir()
    for name in ("__init__.py", "part.py", "loss.py"):
        (tmp_path / "red_package" / name).write_text("")
    (tmp_path / "red_package" / "part.py").write_text(GOOD)
    (tmp_path / "red_package" / "loss.py").write_text("from red_package import part\nfrom .part import mark\n")
    for name in ("__init__.py", "part.py", "loss.py"):
        compiled_over(tmp_path / "red_package" / name, leaving(tmp_path / "was-run") + GOOD)
    with trusting(ANYTHING):
        digest = LOSSES.digest("red_package.loss:mark")
    (tmp_path / POLICY_FILE).write_text(f'plugins = {{ "red_package.loss" = "{digest}" }}\n')
    with trusting(read_policy(tmp_path).trust):
        assert Reference.of("red_package.loss:mark").value("loss")() == "read"  # type: ignore[union-attr]
    assert not (tmp_path / "was-run").exists()


def test_what_an_import_finds_beside_a_plug_in_is_what_was_digested(tmp_path: Path) -> None:
    """Written anew between the digest and the import."""
    (tmp_path / "red_later.py").write_text(GOOD)
    own = tmp_path / "red_first.py"
    own.write_text(
        f"from pathlib import Path\nPath({str(tmp_path / 'red_later.py')!r}).write_text("
        f"{leaving(tmp_path / 'was-run')!r})\n"
        "import red_later\nloss = red_later.mark\n"
    )
    with trusting(ANYTHING):
        assert Reference.of(str(own)).module().loss() == "read"  # type: ignore[union-attr]
    assert not (tmp_path / "was-run").exists()


def test_a_file_that_only_has_a_large_packages_name_is_in_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their versions stand for torch and the like; a file beside a plug-in has none."""
    (tmp_path / "torchvision.py").write_text(GOOD)
    (tmp_path / "red_seeing.py").write_text("import torchvision\n")
    with trusting(ANYTHING):
        first = LOSSES.digest(str(tmp_path / "red_seeing.py"))
        (tmp_path / "torchvision.py").write_text("# another\n")
        assert LOSSES.digest(str(tmp_path / "red_seeing.py")) != first


@pytest.mark.parametrize("listed", [True, False])
def test_a_package_is_not_run_before_its_digest_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    """To look for a module in a package, Python imports the package."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "red_outer").mkdir()
    (tmp_path / "red_outer" / "__init__.py").write_text(leaving(tmp_path / "was-run"))
    (tmp_path / "red_outer" / "loss.py").write_text(GOOD)
    lines = f'plugins = {{ "red_outer.loss" = "{"0" * 64}" }}\n' if listed else "plugins = []\n"
    (tmp_path / POLICY_FILE).write_text(lines)
    with trusting(read_policy(tmp_path).trust), pytest.raises(StudyError, match="not run"):
        LOSSES.load("red_outer.loss:mark")
    assert not (tmp_path / "was-run").exists()


def test_another_version_than_a_studys_is_refused_before_it_is_run(tmp_path: Path) -> None:
    own = tmp_path / "red_net.py"
    own.write_text("from torch import nn\nclass Net(nn.Module):\n    pass\n")
    place = f"{own}:Net"
    with trusting(ANYTHING), noted() as used:
        NETWORKS.digest(place)
        own.write_text(leaving(tmp_path / "was-run") + own.read_text())
        text = STUDY.format(network=json.dumps(place)) + f"\n[plugins]\n{json.dumps(str(own))} = '{used[str(own)]}'\n"
        with pytest.raises(StudyError, match="is not the one that this study was read with"):
            parse(text)
    assert not (tmp_path / "was-run").exists()


def folder_of_somebody(folder: Path, network: str, seed: str = "0") -> Path:
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY.format(network=network).replace("seed = 0", f"seed = {seed}"))
    sites = [{"site": "ashford-general", "holdings": {}}]
    (folder / "roster.json").write_text(json.dumps({"shape": [1, 16, 16], "classes": ["a", "b"], "sites": sites}))
    (folder / "about.json").write_text('{"state": "stopped", "study": "x", "engine": "inline"}')
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def hidden(tmp_path: Path) -> tuple[str, ...]:
    """Networks that are code or files of somebody, as a study's text has them."""
    evil = tmp_path / "red_evil.py"
    evil.write_text(leaving(tmp_path / "was-run") + "from torch import nn\nclass Net(nn.Module):\n    pass\n")
    script = '{ name = "torchscript", file = "/tmp/anything.pt" }'
    inner = json.dumps(f"{evil}:Net")
    return (
        script,
        '{ name = "onnx", file = "/tmp/anything.onnx" }',
        f'{{ name = "refinement", base = {inner} }}',
        f'{{ name = "refinement", base = {{ name = {inner} }} }}',
        f'{{ name = "refinement", base = {{ name = "refinement", base = {inner} }} }}',
        f'{{ name = "refinement", base = {script} }}',
    )


@pytest.mark.parametrize("number", range(6))
def test_a_strangers_study_with_a_program_for_a_network_is_not_read(tmp_path: Path, number: int) -> None:
    """`resume` hands it to processes of the run's own, which run whatever it names; so it is refused when read."""
    network = hidden(tmp_path)[number]
    for trust in (plugins.NOTHING, NOT_OURS):
        with trusting(trust), pytest.raises(StudyError, match=r"not run|not opened"):
            parse(STUDY.format(network=network))
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("command", [["resume"], ["audit"], ["export", "--onnx", "x.onnx"]])
def test_no_command_on_a_folder_runs_it(
    tmp_path: Path, command: list[str], wardround: Callable[..., tuple[int, str]]
) -> None:
    for number, network in enumerate(hidden(tmp_path)):
        folder = folder_of_somebody(tmp_path / f"run-{number}", network)
        (folder / "traffic").mkdir()
        (folder / "traffic" / "index.jsonl").write_text("")
        if command[0] == "audit":
            (folder / "about.json").write_text('{"state": "completed", "study": "x", "engine": "inline"}')
        code, said = wardround(command[0], str(folder), *command[1:])
        assert code == 1 and ("not run" in said or "not opened" in said or "model" in said), said
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("number", range(6))
def test_evaluate_takes_no_program_from_a_strangers_run(tmp_path: Path, number: int) -> None:
    """The study is one's own, and the model another's: of its folder the network of ours is taken, or none."""
    run = folder_of_somebody(tmp_path / "run", hidden(tmp_path)[number])
    text = STUDY.format(network=UNET).replace(f", network = {UNET}", "").replace("rounds = 1\n", "")
    with trusting(ANYTHING):
        found = evaluation_of(run, text, (), None)
    assert not any("network" in one for one in found.overrides)
    assert not (tmp_path / "was-run").exists()


def test_a_seed_that_is_none_is_said_in_a_line(tmp_path: Path) -> None:
    run = folder_of_somebody(tmp_path / "run", UNET, seed='"x"')
    text = STUDY.format(network=UNET).replace("rounds = 1\nseed = 0\n", "")
    with trusting(ANYTHING), pytest.raises(WardroundError, match="seed"):
        evaluation_of(run, text, (), None)


def test_a_conftest_above_the_temporary_folder_has_no_say_in_wardround_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may write one into /tmp."""
    (tmp_path / "conftest.py").write_text(leaving(tmp_path / "was-run"))
    (tmp_path / "own.py").write_text("def loss(answers, targets):\n    return (answers - targets) ** 2\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("wardround.testing.__main__.COLLECTED", "def test_law(): pass\n")
    assert tried(str(tmp_path / "own.py"))
    assert not (tmp_path / "was-run").exists()


def test_what_lies_where_one_works_is_not_taken_for_pythons_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's numbers.py beside one's own file, which alone is to be tested."""
    (tmp_path / "numbers.py").write_text(leaving(tmp_path / "was-run"))
    (tmp_path / "own.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    done = ended([sys.executable, "-P", "-m", "experiments.cli", "test", "own.py"])
    assert "binds none of" in done.stderr and not (tmp_path / "was-run").exists(), done.stderr


def test_weights_outside_of_an_onnx_file_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in no digest: whoever writes into the folder that a node works in would choose the model."""
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    from onnx import TensorProto, helper

    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights.bin"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    np.arange(4, dtype=np.float32).tofile(tmp_path / "weights.bin")
    assert onnx.load(str(tmp_path / "model.onnx")).graph.initializer[0].raw_data
    monkeypatch.chdir(tmp_path)
    with trusting(ANYTHING), pytest.raises(StudyError, match="cannot be used"):
        Onnx(str(tmp_path / "model.onnx")).build(Shape((2,), 2))


def test_trackers_write_where_they_are_told_to_whatever_a_run_folder_says(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tracking is not installed")
    run = folder_of_somebody(tmp_path / "run", UNET)
    for number, name in enumerate(
        (f"{tmp_path / 'elsewhere'}", "../../elsewhere", "a/../../../elsewhere", "x" * 400)
    ):
        (run / "about.json").write_text(json.dumps({"state": "stopped", "study": name, "engine": "inline"}))
        tell(run, TensorBoard(tmp_path / f"board-{number}" / "in"))
        assert list((tmp_path / f"board-{number}" / "in").rglob("events.*"))
    assert not list(tmp_path.rglob("elsewhere*"))
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "x run").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").mkdir()
    (run / "about.json").write_text('{"state": "stopped", "study": "x", "engine": "inline"}')
    with pytest.raises(WardroundError, match="link"):
        tell(run, TensorBoard(tmp_path / "linked"))
    assert not list((tmp_path / "outside").iterdir())


def test_trackers_and_models_tell_no_folder_of_this_machine() -> None:
    text = """
title = "x"
task = { name = "/home/ada/secret-project/own.py:Task", network = { name = "onnx", file = "/home/ada/m.onnx" } }
source = { name = "torch", dataset = "/home/ada/ward.py:Data", folder = "/home/ada/patients" }
start = { model = "/home/ada/runs/first" }
[plugins]
"/home/ada/secret-project/own.py" = "5c"
"""
    told = json.dumps(settings_of(text))
    assert "ada" not in told and "own.py:Task" in told and "m.onnx" in told
    assert "ada" not in json.dumps(without_folders({"a": ["C:\\\\Users\\\\ada\\\\own.py:Net", {"/home/ada/x": 1}]}))
    assert without_folders({"a": "n/a", "b": "table/x.csv", "c": 1}) == {"a": "n/a", "b": "table/x.csv", "c": 1}


HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "text", [HOSTILE, f"\\{HOSTILE}", f"\\\\{HOSTILE}", f"`{HOSTILE}", f"a\n\n{HOSTILE}", "[a](javascript:b)"]
)
def test_nothing_of_a_study_is_markup_in_a_model_card(text: str) -> None:
    facts = {
        "wardround": "1",
        "title": text,
        "description": text,
        "task": {"name": "segmentation", text: text, "scores": [text]},
        "classes": [text],
        "network": {
            "parameters": 1,
            "sha256": "0",
            "input": {"name": "inputs", "shape": ["n", 1]},
            "output": {"name": "answers", "meaning": text},
        },
        "preprocessing": {"name": text, text: {text: text}},
        "training": {
            "hospitals": 1,
            "patients": None,
            "cases": None,
            "rounds": 1,
            "state": text,
            "strategy": {"name": text, text: 1},
            "aggregation": text,
            "settings": {text: text},
            "seed": text,
            "engine": text,
            "started": text,
        },
        "privacy": {
            "mechanism": text,
            "unit": text,
            "epsilon": 1.0,
            "delta": text,
            "relation": text,
            "noise_source": text,
            "not_covered": [{"what": text, "why": text}],
        },
        "trusts": [text],
        "scores": {"split": text, "values": {text: 0.5}},
    }
    card = card_of(facts)
    outside = re.sub(r"`[^`\n]*`", "", re.sub(r"\\.", "", card))
    assert not re.search(r"<\w|\[a\]", outside), outside
    assert not any(line.startswith("<") for line in card.splitlines())


def test_no_cell_of_the_answers_is_a_spreadsheets_formula() -> None:
    names = ("=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "-12", "p01")
    text = _csv([{"case": name, "part": name, "answers": {"class": name, "=x": -0.5}} for name in names])
    rows = list(csv.reader(io.StringIO(text)))
    for cell in (cell for row in rows for cell in row):
        assert not cell.lstrip().startswith(("=", "+", "-", "@")) or float(cell) < 0
    assert [rows[-1][0], rows[-2][0], rows[1][-1]] == ["p01", "-12", "-0.5"]


def test_names_of_results_are_names_whatever_new_files_are_called(tmp_path: Path) -> None:
    """A terminal obeys what stands in predictions.csv, and one name that is too long stopped all other files."""
    new = tmp_path / "new"
    deep = new / ("y" * 200) / ("z" * 200)
    deep.mkdir(parents=True)
    for name in ("\x1b[31mred", "a\nb", "x" * 250, "back\\slash", os.fsdecode(b"n\xe9")):
        (new / f"{name}.csv").write_text("")
    (deep / "q.csv").write_text("")
    (deep / "r.csv").write_text("")
    names = [one.name for one in new_files([new], ("table",))]
    assert len(set(names)) == 7 and all(name.isprintable() and len(name.encode()) < 220 for name in names)
    assert not any(set("/\\") & set(name) for name in names)


@pytest.mark.parametrize(
    "network",
    [
        '{ name = "unet", channels = 1000000, depth = 1 }',
        '{ name = "dilated", channels = 1048576 }',
        '{ name = "mlp", hidden = [1000000, 1000000] }',
        f'{{ name = "mlp", hidden = {[1] * 5000} }}',
    ],
)
def test_a_strangers_study_gets_no_more_room_than_its_model_takes(tmp_path: Path, network: str) -> None:
    """`wardround.load(folder).model()` and `compare` built whatever the study said, and then looked at the file."""
    run = folder_of_somebody(tmp_path / "run", network)
    if "mlp" in network:
        (run / "study.toml").write_text((run / "study.toml").read_text().replace("segmentation", "classification"))
    write_tensors(run, "model.safetensors", {"a": np.zeros(3, np.float32)})
    with pytest.raises(WardroundError, match="not of one run"):
        load(run).model()
    with trusting(NOT_OURS), pytest.raises(WardroundError, match="not of one run"):
        score_patients(parse((run / "study.toml").read_text()), run)
    with pytest.raises(WardroundError, match="not of one run"):
        load_trained(run)


@pytest.mark.parametrize(
    ("task", "network"),
    [
        ("segmentation", '{ name = "unet", channels = 2, depth = 1000000000 }'),
        ("segmentation", '{ name = "unet", channels = 9223372036854775807, depth = 1 }'),
        ("segmentation", '{ name = "refinement", passes = 1000000000 }'),
        ("segmentation", '{ name = "refinement", base = { name = "unet", depth = 1000000000 } }'),
        ("registration", '{ name = "voxelmorph", depth = 1000000000 }'),
        ("registration", '{ name = "affine_pair", depth = 1000000000 }'),
    ],
)
def test_a_network_without_end_is_not_begun(tmp_path: Path, task: str, network: str) -> None:
    """A study of one line kept `predict`, and whoever approved it, at work for ever."""
    run = folder_of_somebody(tmp_path / "run", network)
    (run / "study.toml").write_text((run / "study.toml").read_text().replace("segmentation", task))
    (run / "roster.json").write_text('{"shape": [2, 16, 16], "classes": ["a", "b"], "sites": []}')
    write_tensors(run, "model.safetensors", {"a": np.zeros(3, np.float32)})
    with pytest.raises(WardroundError, match="must be at most"):
        load_trained(run)
