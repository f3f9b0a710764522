"""A network for other programs answers as ours does, and says what it is; a bundle is laid out as MONAI reads it."""

import io
import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from client.sources.nifti import Nifti
from common.data.cases import Shape
from common.errors import StudyError
from common.registration.learned.spatial_transformer import integrate
from common.study.catalogue import NETWORKS
from common.study.options import Entry
from experiments.cli import cli
from experiments.exporting.card import card_of
from experiments.exporting.conduct import export
from experiments.exporting.facts import facts_of
from experiments.exporting.networks import METADATA, axes_of, onnx_of, torchscript_of
from experiments.prediction.conduct import predict
from experiments.prediction.trained import load_trained
from tests.experiments.trained_runs import trained_run, write_balls

pytestmark = pytest.mark.usefixtures("one_onnx_registry")
SMALL = {"unet": {"channels": 2, "depth": 1}, "voxelmorph": {"channels": 2, "depth": 1}}
SMALL |= {"two_pathway": {"widths": [2], "hidden": 2}, "dilated": {"dilations": [1, 2]}}
SMALL |= {"conditional_ladder": {"channels": [2], "latents": [1], "top": 2}, "affine_pair": {"depth": 1}}
SMALL |= {"vit": {"width": 8, "depth": 1, "heads": 2}}
SMALL |= {"refinement": {"base": Entry("unet", {"channels": 2, "depth": 1})}, "edsr": {"blocks": 1}}
PLANE, TABLE, PAIR = (1, 8, 12), (5,), (2, 8, 8)
SHAPES = dict.fromkeys(("logistic", "mlp"), TABLE) | {"affine_pair": PAIR, "voxelmorph": (2, 4, 4, 4)}
SHAPES["conditional_ladder"] = (5, 8, 12)
CLASSES = '["background", "ball"]'
CONVOLUTIONAL = {"dilated", "refinement", "two_pathway", "unet"}
READ = {"onnx", "torchscript"}
"""Models of other libraries, which are scored and never trained, and so never exported."""
EVERY = [(name, SMALL.get(name, {}), SHAPES.get(name, PLANE)) for name in NETWORKS.names() if name not in READ]
EVERY.append(("unet", {"channels": 2, "depth": 1}, (1, 8, 4, 8)))


def untrained(name, options, shape):
    """What the exporters look at of a network with random parameters."""
    torch.manual_seed(0)
    network = NETWORKS.build(Entry(name, options)).build(Shape(shape, 3)).eval()
    learned = SimpleNamespace(shape=Shape(shape, 3))
    return SimpleNamespace(network=network, learned=learned, entries={"task": Entry("x", {"network": name})})


def loaded_script(place, **options):
    """Torch deprecates the reader; programs in clinics still have it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(place, **options)


@pytest.mark.parametrize(("name", "options", "shape"), EVERY, ids=str)
def test_onnxruntime_answers_as_every_network_does(name, options, shape, monkeypatch):
    """In numbers of cases, and where it is convolutional in sizes, that it was not exported with. Two squarings of
    a velocity are as hard to write down as six."""
    monkeypatch.setattr(integrate, "__defaults__", (2,))
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    trained = untrained(name, options, shape)
    packed = onnx_of(trained, {"format": "x"})
    session = onnxruntime.InferenceSession(packed, providers=["CPUExecutionProvider"])
    sizes = [(1, *shape), (3, *shape)]
    if name in CONVOLUTIONAL:
        assert [type(axis) for axis in axes_of(packed)[2:]] == [str] * (len(shape) - 1)
    if len(shape) > 1 and all(isinstance(axis, str) for axis in axes_of(packed)[2:]):
        sizes.append((2, shape[0], *(2 * side for side in shape[1:])))
    for size in sizes:
        inputs = torch.randn(*size, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            exact = trained.network.double()(inputs.double()).numpy()
            trained.network.float()
        (answers,) = session.run(None, {"inputs": inputs.numpy()})
        assert np.abs(answers - exact).max() <= 1e-4 * max(1e-4, np.abs(exact).max())


@pytest.mark.parametrize(("name", "options", "shape"), EVERY, ids=str)
def test_torchscript_answers_as_every_network_does(name, options, shape):
    trained = untrained(name, options, shape)
    loaded = loaded_script(io.BytesIO(torchscript_of(trained, {"format": "x"})))
    inputs = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours = trained.network(inputs).numpy()
    assert np.abs(loaded(inputs).detach().numpy() - ours).max() <= 1e-5 * max(1, np.abs(ours).max())


class Values(torch.nn.Module):
    """Singular values, of which ONNX knows nothing."""

    def forward(self, inputs):
        return torch.linalg.svdvals(inputs)


def test_what_onnx_has_no_word_for_is_said_with_the_networks_name():
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    trained = SimpleNamespace(network=Values(), learned=SimpleNamespace(shape=Shape((3, 3), 3)))
    trained.entries = {"task": Entry("x", {"network": "values"})}
    with pytest.raises(StudyError, match=r"network 'values' cannot be written as ONNX: .*linalg"):
        onnx_of(trained, {})


class Branches(torch.nn.Module):
    """Another function for a single case."""

    def forward(self, inputs):
        return inputs if len(inputs) == 1 else 2 * inputs


def test_a_network_that_branches_on_its_input_is_not_traced_in_silence():
    trained = SimpleNamespace(network=Branches(), learned=SimpleNamespace(shape=Shape((3,), 3)))
    trained.entries = {"task": Entry("x", {"network": "branches"})}
    with pytest.raises(StudyError, match="answers otherwise than itself"):
        torchscript_of(trained, {})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    write_balls(folder / "data", range(2))
    source = Nifti(str(folder / "data"), classes=("background", "ball"), dimensions=3, size=8)
    text = f"""
title = "Balls | of `two` <b>hospitals</b>"
source = {{ name = "nifti", folder = "{folder / "data"}", classes = {CLASSES}, dimensions = 3, size = 8 }}
partition = {{ name = "iid", hospitals = 3 }}
task = {{ name = "segmentation", network = {{ name = "unet", channels = 2, depth = 2 }} }}
"""
    trained_run(folder / "run", text, source.cases(None, 0), steps=1)
    return folder


@pytest.fixture(scope="module")
def bundle(run):
    export(load_trained(run / "run"), torchscript=run / "m.ts", bundle=run / "bundle")
    return run / "bundle"


def test_a_bundle_has_what_monai_demands_and_predicts_as_the_run_does(run, bundle, tmp_path):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    demanded = (
        "version monai_version pytorch_version numpy_version optional_packages_version task description authors"
    )
    assert set(f"{demanded} copyright network_data_format".split()) <= metadata.keys()
    for tensor in ("inputs", "answers"):
        (about,) = [one[tensor] for one in metadata["network_data_format"].values() if tensor in one]
        assert about["spatial_shape"] == [8, 8, 8]
        assert about["dtype"] == "float32"
    assert metadata["network_data_format"]["outputs"]["answers"]["channel_def"] == {"0": "background", "1": "ball"}
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    assert state.keys() == load_trained(run / "run").network.state_dict().keys()
    scan = run / "data" / "images" / "p00.nii.gz"
    for folder in (run / "run", bundle):
        predict(load_trained(folder), [scan], tmp_path / folder.name)
    first, second = ((tmp_path / name / "p00_seg.nii.gz").read_bytes() for name in ("run", "bundle"))
    assert first == second


def test_no_folder_and_no_hospital_is_named_in_what_leaves(run, bundle):
    for path in (run / "m.ts", *(one for one in bundle.rglob("*") if one.is_file())):
        content = path.read_bytes()
        assert str(run).encode() not in content
        assert b"somewhere" not in content


def test_the_facts_are_inside_torchscript_with_every_default_written_out(run, bundle):
    extra = {METADATA: ""}
    loaded_script(run / "m.ts", _extra_files=extra)
    facts = json.loads(extra[METADATA])
    assert facts["preprocessing"]["normalisation"] == "zscore"
    assert facts["training"]["hospitals"] == 1
    assert facts["training"]["patients"] == {"train": 5, "validation": 0, "test": 2}
    assert facts["scores"] == {"split": "test", "headline": "dice", "values": {"dice": 0.9}}
    assert facts["privacy"] is None


def test_the_facts_are_inside_onnx(bundle):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    props = {one.key: one.value for one in onnx.load(bundle / "models" / "model.onnx").metadata_props}
    assert json.loads(props["wardround"])["classes"] == ["background", "ball"]


def test_a_model_card_has_the_usual_sections_and_no_mark_of_its_authors_own(run):
    card = card_of(facts_of(load_trained(run / "run")))
    for section in ("Model details", "Intended use", "Factors", "Training data", "Caveats and recommendations"):
        assert f"\n## {section}\n" in card
    assert "# Balls \\| of \\`two\\` \\<b\\>hospitals\\</b\\>" in card
    assert "| Dice (`dice`) | 0.900 |" in card
    assert "nothing bounds what the parameters tell" in card


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([], "nothing is asked for"),
        (["--torchscript", "{folder}/m.txt"], "must end in"),
        (["--torchscript", "{folder}/there.ts"], "is there already"),
        (["--bundle", "{folder}"], "is not an empty folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(run, tmp_path, asked, words):
    (tmp_path / "there.ts").write_text("mine")
    ended = CliRunner().invoke(cli, ["export", str(run / "run"), *(one.format(folder=tmp_path) for one in asked)])
    assert ended.exit_code == 1
    assert words in " ".join(ended.output.split())
    assert (tmp_path / "there.ts").read_text() == "mine"
