"""Predicting on new files: geometry, outlines, tables, and what is refused by name."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import map_coordinates
from typer.testing import CliRunner

from client.sources.dicom import Dicom
from client.sources.images import Images
from client.sources.nifti import Nifti
from client.sources.nifti_pairs import NiftiPairs
from client.sources.table import Table
from common.data.cases import Cases
from common.data.geometry import Geometry
from common.errors import FileError, StudyError
from common.registration.itk_files import read_transform
from common.study.plugins import ANYTHING, trusting
from experiments.cli import cli
from experiments.exporting.facts import task_of
from experiments.prediction.conduct import Wanted, predict
from experiments.prediction.trained import load_trained
from tests.client.dicom_files import save_all, slices
from tests.client.dicom_files import values as stored_values
from tests.experiments.trained_runs import ball, oblique, trained_run, write_balls

ENTRY = 'task = { name = "segmentation", network = { name = "unet", channels = 4, depth = 2 }%s }'
BALLS = """
title = "Balls"
source = { name = "nifti", folder = "%s", classes = ["background", "ball"], dimensions = 3, %s }
partition = { name = "iid", hospitals = 3 }
%s
"""
NEAR = {"spacing_mm": (1.5, 1.5, 1.5), "size": 16}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A run that has learned to outline balls at 1.5 mm in cubes of 16 voxels; its folder."""
    folder = tmp_path_factory.mktemp("balls")
    write_balls(folder / "data", range(4))
    source = Nifti(str(folder / "data"), classes=("background", "ball"), dimensions=3, **NEAR)
    text = BALLS % (folder / "data", "spacing_mm = [1.5, 1.5, 1.5], size = 16", ENTRY % "")
    trained_run(folder / "run", text, source.cases(None, 0), steps=30)
    return folder / "run"


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def codes(image):
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine, 1)


def in_micrometres(image):
    affine = image.affine * np.array([[1000.0]] * 3 + [[1.0]])
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("micron")


@pytest.mark.parametrize("change", [lambda image: None, codes, in_micrometres], ids=["sform", "both", "micrometres"])
def test_an_outline_lies_exactly_where_the_scan_does(learned, tmp_path, change):
    """Read by nibabel alone: shape, affine, codes and unit are the scan's; the outline is the ball."""
    write_balls(tmp_path / "new", range(20, 21), change)
    scan = tmp_path / "new" / "images" / "p20.nii.gz"
    predict(load_trained(learned), [scan], tmp_path / "out", Wanted(probabilities=True))
    before, found = nib.load(scan), nib.load(tmp_path / "out" / "p20_seg.nii.gz")
    assert found.shape == before.shape
    assert np.abs(found.affine - before.affine).max() <= 1e-6
    for name in ("sform_code", "qform_code", "xyzt_units"):
        assert found.header[name] == before.header[name]
    assert found.get_data_dtype() == np.uint8
    assert dice(np.asarray(found.dataobj) > 0, ball(20)[1] > 0) > 0.85
    chances = nib.load(tmp_path / "out" / "p20_probabilities.nii.gz")
    assert np.abs(chances.affine - before.affine).max() <= 1e-6
    assert chances.shape == (*before.shape, 2)
    assert np.abs(chances.get_fdata().sum(-1) - 1).max() < 1e-5


def test_where_spacing_is_kept_the_outline_is_the_networks_own_answer(tmp_path):
    """An oracle: turn with nibabel, crop by hand, ask the network, put back by hand."""
    write_balls(tmp_path / "data", range(2))
    source = Nifti(str(tmp_path / "data"), classes=("background", "ball"), dimensions=3, size=8)
    network = trained_run(
        tmp_path / "run", BALLS % (tmp_path / "data", "size = 8", ENTRY % ""), source.cases(None, 0), steps=3
    )
    scan = tmp_path / "data" / "images" / "p01.nii.gz"
    results = predict(load_trained(tmp_path / "run"), [scan], tmp_path / "out")
    turned = nib.as_closest_canonical(nib.load(scan))
    inputs = source.cases(None, 0).batch().inputs[1:]
    start = [(length - 8) // 2 for length in turned.shape]
    whole = np.zeros(turned.shape, np.uint8)
    whole[tuple(slice(a, a + 8) for a in start)] = network(inputs).argmax(1)[0].numpy()
    found = nib.as_closest_canonical(nib.load(tmp_path / "out" / "p01_seg.nii.gz"))
    assert np.array_equal(np.asarray(found.dataobj), whole)
    assert results.cases[0]["unseen_voxels"] == whole.size - 8**3
    assert "what lies beyond is background" in results.cases[0]["remarks"][0]


def test_slices_across_any_axis_come_back_as_a_volume(tmp_path):
    write_balls(tmp_path / "data", range(3))
    options = {"axis": 1, "size": 16, "slices_per_patient": 0}
    source = Nifti(str(tmp_path / "data"), classes=("background", "ball"), **options)
    text = BALLS.replace("dimensions = 3, ", "") % (
        tmp_path / "data", "axis = 1, size = 16, slices_per_patient = 4, label_values = [0, 300]", ENTRY % ""
    )  # fmt: skip
    trained_run(tmp_path / "run", text, source.cases(None, 0), steps=15)
    write_balls(tmp_path / "new", range(30, 31))
    results = predict(load_trained(tmp_path / "run"), [tmp_path / "new"], tmp_path / "out")
    assert not results.left_out
    found = nib.load(tmp_path / "out" / "p30_seg.nii.gz")
    values = np.asarray(found.dataobj)
    assert set(np.unique(values)) == {0, 300}
    assert dice(values > 0, ball(30)[1] > 0) > 0.7


def test_windows_pass_over_a_volume_of_any_size(tmp_path):
    write_balls(tmp_path / "data", range(3))
    source = Nifti(str(tmp_path / "data"), classes=("background", "ball"), dimensions=3, size=0)
    text = BALLS % (tmp_path / "data", "size = 0", ENTRY % ", patch = [8, 8, 8]")
    trained_run(tmp_path / "run", text, source.cases(None, 0), steps=2)
    image, _, affine = ball(5, (6, 31, 11))
    nib.save(nib.Nifti1Image(image[:, :, 4], affine), tmp_path / "flat.nii.gz")
    nib.save(nib.Nifti1Image(image[..., None], affine), tmp_path / "odd.nii")
    predict(load_trained(tmp_path / "run"), [tmp_path / "odd.nii", tmp_path / "flat.nii.gz"], tmp_path / "out")
    assert nib.load(tmp_path / "out" / "odd_seg.nii.gz").shape == (6, 31, 11)
    assert nib.load(tmp_path / "out" / "flat_seg.nii.gz").shape == (6, 31)


def test_a_dicom_series_gets_its_outline_in_patient_coordinates(learned, tmp_path):
    made = slices(stored_values((6, 12, 10), seed=1), patient="P", series="1.2.3", gap_mm=2.0)
    save_all(made[::-1], tmp_path / "scan")
    results = predict(load_trained(learned), [tmp_path / "scan"], tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*_seg.nii.gz")
    found = nib.load(path)
    assert not results.left_out
    assert found.shape == (10, 12, 6)
    first = min(made, key=lambda one: float(one.ImagePositionPatient[2]))
    origin = np.array(list(map(float, first.ImagePositionPatient))) * [-1, -1, 1]
    assert np.allclose(found.affine[:3, 3], origin)
    assert found.header["sform_code"] == found.header["qform_code"] == 1


def test_a_series_of_another_modality_is_refused_by_name(tmp_path):
    made = slices(stored_values((4, 8, 8), seed=1), patient="P", series="1.2.3")
    save_all(made, tmp_path / "scan")
    source = Dicom("", modality="PT", dimensions=3, size=8)
    cases = Cases.of(np.zeros((1, 1, 8, 8, 8), np.float32), np.zeros((1, 8, 8, 8), np.int64), ["p"], source.classes)
    text = f"""
title = "PET"
source = {{ name = "dicom", modality = "PT", dimensions = 3, size = 8 }}
partition = {{ name = "iid", hospitals = 3 }}
{ENTRY % ""}
"""
    trained_run(tmp_path / "run", text, cases)
    results = predict(load_trained(tmp_path / "run"), [tmp_path / "scan"], tmp_path / "out")
    assert "no series of modality 'PT'" in results.left_out[0].reason


def test_masks_of_images_have_the_images_own_pixels(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        mask = np.zeros((30, 40), np.uint8)
        mask[8:20, 10 + index : 26 + index] = 255
        pixels = np.clip(rng.normal(60, 5, mask.shape) + mask // 2, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"i{index}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"i{index}.png")
    options = {"masks": "masks/{name}.png", "classes": ("background", "spot"), "size": 16}
    source = Images(str(tmp_path), **options)
    text = f"""
title = "Spots"
source = {{ name = "images", masks = "masks/{{name}}.png", classes = ["background", "spot"], size = 16 }}
partition = {{ name = "iid", hospitals = 3 }}
{ENTRY % ""}
"""
    trained_run(tmp_path / "run", text, source.cases(None, 0), steps=25)
    new = tmp_path / "images" / "i3.png"
    predict(load_trained(tmp_path / "run"), [new], tmp_path / "out", Wanted(probabilities=True))
    with Image.open(tmp_path / "out" / "i3_seg.png") as found, Image.open(tmp_path / "masks" / "i3.png") as truth:
        one, other = np.asarray(found), np.asarray(truth)
    assert one.shape == other.shape
    assert set(np.unique(one)) == {0, 255}
    assert dice(one > 0, other > 0) > 0.85
    assert (tmp_path / "out" / "i3_probabilities.tiff").is_file()


PAIRS = """
title = "Pairs"
source = { name = "nifti_pairs", folder = "%s", classes = ["background", "ball"], size = [8, 8, 8] }
partition = { name = "iid", hospitals = 3 }
task = { name = "registration", network = { name = "voxelmorph", channels = 2, depth = 2 }, window = 3 }
"""


def test_a_pair_gets_a_moved_image_and_a_field_that_say_the_same(tmp_path):
    """The field is read back and applied by our own registration: inside of the frame it gives the moved image."""
    write_balls(tmp_path / "data", range(2))
    source = NiftiPairs(str(tmp_path / "data"), classes=("background", "ball"), size=(8, 8, 8))
    network = trained_run(tmp_path / "run", PAIRS % (tmp_path / "data"), source.cases(None, 0), steps=3)
    with torch.no_grad():
        list(network.parameters())[-1].add_(1.5)
    moving, fixed = (tmp_path / "data" / "images" / f"p0{index}.nii.gz" for index in range(2))
    trained = replace(load_trained(tmp_path / "run"), network=network)
    results = predict(trained, [Path(f"{moving},{fixed}")], tmp_path / "out")
    assert results.cases[0]["answers"]["largest"] > 0.5
    found, before = nib.load(tmp_path / "out" / "p00_moved.nii.gz"), nib.load(fixed)
    assert found.shape == before.shape
    assert np.abs(found.affine - before.affine).max() <= 1e-6
    field = read_transform(tmp_path / "out" / "p00_displacement.nii.gz")
    geometry = Geometry(before.shape, before.affine)
    inside = np.stack(np.meshgrid(*map(np.arange, before.shape), indexing="ij"), -1).reshape(-1, 3)
    at = field.geometry.world_to_voxel(geometry.voxel_to_world(inside))
    inside = inside[((at >= 0) & (at <= 7)).all(1)]
    to = field.map_points(torch.from_numpy(geometry.voxel_to_world(inside))).numpy()
    image = nib.load(moving)
    voxels = Geometry(image.shape, image.affine).world_to_voxel(to)
    values = np.asarray(image.dataobj, np.float64)
    moved = map_coordinates(values, voxels.T, order=1, mode="constant", cval=values.min())
    assert len(inside) > 300
    assert np.abs(np.asarray(found.dataobj)[tuple(inside.T)] - moved).max() < 0.01


def test_one_image_is_no_pair(tmp_path):
    write_balls(tmp_path / "data", range(2))
    source = NiftiPairs(str(tmp_path / "data"), classes=("background", "ball"), size=(8, 8, 8))
    trained_run(tmp_path / "run", PAIRS % (tmp_path / "data"), source.cases(None, 0))
    one = tmp_path / "data" / "images" / "p00.nii.gz"
    results = predict(load_trained(tmp_path / "run"), [one], tmp_path / "out")
    assert "name both, moving.nii.gz,fixed.nii.gz" in results.left_out[0].reason


TABLE = "age,bp,label\n63,140,ill\n37,120,well\n41,130,ill\n50,110,well\n"


def table_run(tmp_path, target='classes = ["well", "ill"]', task='{ name = "classification", network = "logistic" }'):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(
        TABLE if "classes" in target else TABLE.replace("ill", "3").replace("well", "5")
    )
    kind = {"target": "number"} if "number" in target else {"classes": ("well", "ill")}
    cases = Table(str(tmp_path / "data"), features=("age", "bp"), **kind).cases("a", 0)
    text = f"""
title = "Rows"
source = {{ name = "table", folder = "{tmp_path / "data"}", features = ["age", "bp"], {target} }}
task = {task}
"""
    return trained_run(tmp_path / "run", text, cases, steps=2, columns=("age", "bp")), cases


def rows(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_of_a_table_get_a_class_and_a_probability_of_each(tmp_path):
    network, cases = table_run(tmp_path)
    predict(load_trained(tmp_path / "run"), [tmp_path / "data"], tmp_path / "out")
    found = rows(tmp_path / "out")
    chances = network(cases.batch().inputs).double().softmax(1)
    assert [one["class"] for one in found] == [("well", "ill")[index] for index in chances.argmax(1)]
    assert np.allclose([float(one["probability of ill"]) for one in found], chances[:, 1].detach().numpy())
    assert [one["part"] for one in found] == ["line 2", "line 3", "line 4", "line 5"]
    details = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert details["model_sha256"] == load_trained(tmp_path / "run").model_sha256


def test_a_number_comes_in_its_own_unit_under_its_columns_name(tmp_path):
    task = '{ name = "regression", center = 4.0, spread = 2.0, network = "mlp" }'
    network, cases = table_run(tmp_path, 'target = "number"', task)
    predict(load_trained(tmp_path / "run"), [tmp_path / "data" / "a.csv"], tmp_path / "out")
    answers = network(cases.batch().inputs)[:, 0].detach().numpy() * 2 + 4
    assert np.allclose([float(one["label"]) for one in rows(tmp_path / "out")], answers)


def test_a_broken_file_is_named_and_stops_no_other(learned, tmp_path):
    write_balls(tmp_path / "new", range(21, 22))
    (tmp_path / "new" / "images" / "broken.nii.gz").write_bytes(b"no volume")
    (tmp_path / "new" / "images" / "link.nii.gz").symlink_to(tmp_path / "new" / "labels" / "p21.nii.gz")
    given = [str(learned), str(tmp_path / "new" / "images"), "--out", str(tmp_path / "out")]
    ended = CliRunner().invoke(cli, ["predict", *given])
    assert ended.exit_code == 3
    assert "broken.nii.gz is not a readable NIfTI file" in ended.output
    assert "link.nii.gz: is a link, which is not followed" in ended.output
    assert (tmp_path / "out" / "p21_seg.nii.gz").is_file()
    assert not (tmp_path / "out" / "link_seg.nii.gz").exists()
    again = CliRunner().invoke(cli, ["predict", *given])
    assert again.exit_code == 1
    assert "add --overwrite" in again.output
    assert CliRunner().invoke(cli, ["predict", *given, "--overwrite"]).exit_code == 3


def test_a_scan_of_other_channels_is_refused_with_both_numbers(learned, tmp_path):
    image, _, affine = ball(1)
    nib.save(nib.Nifti1Image(np.stack([image, image], -1), affine), tmp_path / "two.nii")
    results = predict(load_trained(learned), [tmp_path / "two.nii"], tmp_path / "out")
    assert "holds 2 volumes along its fourth axis" in results.left_out[0].reason


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("table.csv", "learned from NIfTI files"),
        ("slice.dcm", "name the folder"),
        ("absent.nii", "no file or folder"),
    ],
)
def test_an_input_of_another_kind_is_refused_before_any_work(learned, tmp_path, name, words):
    if "absent" not in name:
        (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(StudyError, match=words):
        predict(load_trained(learned), [tmp_path / name], tmp_path / "out")


def test_answers_do_not_lie_among_the_inputs(learned, tmp_path):
    write_balls(tmp_path, range(1))
    with pytest.raises(StudyError, match="lies in"):
        predict(load_trained(learned), [tmp_path], tmp_path / "out")


def copied(run, folder):
    folder.mkdir()
    for path in run.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_model_and_a_study_that_do_not_belong_together_are_refused(learned, tmp_path):
    run = copied(learned, tmp_path / "run")
    study = (run / "study.toml").read_text()
    (run / "study.toml").write_text(study.replace("channels = 4", "channels = 400000"))
    with pytest.raises(FileError, match="other shapes than the study's network"):
        load_trained(run)
    (run / "study.toml").write_text(study)
    about = json.loads((run / "about.json").read_text())
    (run / "about.json").write_text(json.dumps({**about, "model_sha256": "0" * 64}))
    with pytest.raises(FileError, match="not the model that the run ended with"):
        load_trained(run)


@pytest.mark.parametrize("shape", [[1, 1 << 40], [-1], [], "abc", [1.5], None])
def test_a_hostile_shape_makes_no_room_for_anything(learned, tmp_path, shape):
    run = copied(learned, tmp_path / "run")
    roster = json.loads((run / "roster.json").read_text())
    (run / "roster.json").write_text(json.dumps({**roster, "shape": shape}))
    with pytest.raises(FileError, match="what shape cases have"):
        load_trained(run)


def test_code_that_a_run_folder_names_is_run_only_where_its_user_says_so(tmp_path):
    table_run(tmp_path)
    code = tmp_path / "mine.py"
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nfrom client.sources.table import Table as Mine\n")
    study = (tmp_path / "run" / "study.toml").read_text()
    (tmp_path / "run" / "study.toml").write_text(study.replace('name = "table"', f'name = "{code}:Mine"'))
    with pytest.raises(StudyError, match="which was not run"):
        load_trained(tmp_path / "run")
    assert not (tmp_path / "ran").exists()
    with trusting(ANYTHING), pytest.raises(StudyError, match="not the one that the network was trained with"):
        load_trained(tmp_path / "run")


def test_the_balls_lie_as_no_viewer_would_show_them():
    assert nib.aff2axcodes(oblique(0)) == ("P", "L", "I")


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.rates = [one.item() for one in torch.linspace(0, 0.1, 3)]
        self.last = nn.Linear(features, classes)

    def forward(self, rows):
        return self.last(rows) * (1 - self.rates[0])

def doubled(logits, targets):
    return 2 * nn.functional.cross_entropy(logits, targets, reduction="none")
"""


def test_an_own_network_that_reads_numbers_while_it_is_built_and_an_own_loss_of_the_same_file(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    cases = Cases.of(np.eye(4, 2, dtype=np.float32), np.array([0, 1, 0, 1]), list("abcd"), classes=("no", "yes"))
    text = f"""
title = "Own"
source = {{ name = "npz", folder = "x", classes = ["no", "yes"] }}
task = {{ name = "classification", network = "{tmp_path}/own.py:Net", loss = "{tmp_path}/own.py:doubled" }}
"""
    with trusting(ANYTHING):
        network = trained_run(tmp_path / "run", text, cases, steps=2)
        learned = load_trained(tmp_path / "run")
        assert torch.equal(learned.network.last.weight, network.last.weight)
        assert task_of(learned)["loss"] == {"name": f"{tmp_path}/own.py:doubled"}
    with pytest.raises(StudyError, match="code of its own"):
        load_trained(tmp_path / "run")
