"""What a trained network is shown of a new file is, bit for bit, what it was shown of the same file in training."""

import numpy as np
import pytest
from PIL import Image

from client.new_cases import Learned, NewFile, columns_digest
from client.sources.dicom import Dicom
from client.sources.heart import Heart
from client.sources.images import Images
from client.sources.nifti import Nifti
from client.sources.npz import Npz
from client.sources.table import Table
from common.data.cases import Quarantined, Shape
from common.errors import SourceError, UnknownNameError
from tests.client.source_makers import make_dicom, make_heart, make_images
from tests.experiments.trained_runs import write_balls

NIFTI = {"classes": ("background", "ball")}


def new_inputs(source, new, shape, columns=""):
    found = list(source.new_cases(new, Learned(Shape(shape, 2), ("background", "structure"), columns)))
    assert not [one for one in found if isinstance(one, Quarantined)]
    return [one.inputs for one in found]


@pytest.mark.parametrize(
    "options",
    [
        {"dimensions": 3, "size": 12},
        {"dimensions": 3, "size": (20, 8, 16), "spacing_mm": (1.5, 1.5, 1.5), "window": (80, 170)},
        {"dimensions": 3, "size": 0, "spacing_mm": (2.0, 2.0, 2.0), "interpolation": "cubic"},
        {"size": 16, "slices_per_patient": 0, "normalisation": "minmax"},
        {"size": (10, 24), "axis": 0, "slices_per_patient": 0, "spacing_mm": (1.0, 2.0, 2.0)},
    ],
)
def test_a_volume_is_prepared_as_in_training(tmp_path, options):
    write_balls(tmp_path, range(1))
    source = Nifti(str(tmp_path), **NIFTI, **options)
    trained = source.cases(None, 0).inputs
    (path,) = (tmp_path / "images").iterdir()
    (shown,) = new_inputs(source, NewFile("nifti", (path,), "p"), trained.shape[1:])
    assert np.array_equal(shown, trained)


def test_a_slice_is_prepared_as_in_training_whichever_slices_were_drawn_there(tmp_path):
    write_balls(tmp_path, range(1))
    source = Nifti(str(tmp_path), **NIFTI, size=8, slices_per_patient=3)
    trained = source.cases(None, 0)
    (path,) = (tmp_path / "images").iterdir()
    (shown,) = new_inputs(source, NewFile("nifti", (path,), "p"), (1, 8, 8))
    assert len(shown) == 9
    assert all(any(np.array_equal(one, each) for each in shown) for one in trained.inputs)


def test_channels_in_files_of_their_own_are_prepared_as_in_training(tmp_path):
    for name in ("t1", "t2"):
        write_balls(tmp_path / name, range(1))
    options = {"images": ("t1/images", "t2/images"), "labels": "t1/labels", "dimensions": 3, "size": 8}
    source = Nifti(str(tmp_path), **NIFTI, **options)
    ((name, paths),) = source.new_scans(tmp_path)
    (shown,) = new_inputs(source, NewFile("nifti", paths, name), (2, 8, 8, 8))
    assert np.array_equal(shown, source.cases(None, 0).inputs)
    with pytest.raises(SourceError, match="a case of this study is 2, one a channel"):
        new_inputs(source, NewFile("nifti", paths[:1], name), (2, 8, 8, 8))


def test_a_dicom_series_is_prepared_as_in_training(tmp_path):
    options, _ = make_dicom(tmp_path)
    source = Dicom(**{**options, "slices_per_patient": 0})
    trained = source.cases(source.sites()[0], 0).inputs
    (shown,) = new_inputs(source, NewFile("dicom", (tmp_path / "0",), "p"), (1, 8, 8))
    assert np.array_equal(shown, trained[: len(shown)])


def test_an_image_is_prepared_as_in_training(tmp_path):
    make_images(tmp_path)
    (path,) = [one for one in sorted(tmp_path.rglob("*.png")) if "p0" in one.name and "ill" in one.name]
    with Image.open(path) as picture:
        colour = "rgb" if picture.mode == "RGB" else "grey"
    source = Images(str(tmp_path), images="{site}/{class}/*.png", size=20, aspect="pad", colour=colour)
    trained = source.cases(None, 0) if not source.has_sites else source.cases(source.sites()[0], 0)
    (shown,) = new_inputs(source, NewFile("image", (path,), "p"), trained.inputs.shape[1:])
    assert any(np.array_equal(shown[0], one) for one in trained.inputs)


TABLE = "person,age,sex,bp,label\nP1,63,f,140,ill\nP2,,m,120,well\nP3,41,f,130,ill\nP4,50,m,110,well\n"
COLUMNS = {
    "categorical": {"sex": ["f", "m"]},
    "impute": {"age": 60},
    "scaling": {"bp": {"center": 120, "spread": 20}},
    "classes": ("well", "ill"),
}


def test_rows_of_a_table_are_prepared_as_in_training_with_or_without_the_target(tmp_path):
    (tmp_path / "site.csv").write_text(TABLE)
    source = Table(str(tmp_path), **COLUMNS)
    trained = source.cases("site", 0).inputs
    new = tmp_path / "new" / "rows.csv"
    new.parent.mkdir()
    new.write_text("\n".join(line.rpartition(",")[0] for line in TABLE.splitlines()))
    columns = columns_digest(source.input_names())
    for path in (new, tmp_path / "site.csv"):
        (shown,) = new_inputs(source, NewFile("table", (path,), "rows"), trained.shape[1:], columns)
        assert np.array_equal(shown, trained)


def test_a_row_that_cannot_be_read_is_named_and_the_others_are_used(tmp_path):
    source = Table(str(tmp_path), features=("age", "bp"), classes=("well", "ill"))
    path = tmp_path / "rows.csv"
    path.write_text("age,bp\n63,140\nold,120\n41,130\n")
    (case,) = source.new_cases(NewFile("table", (path,), "rows"), Learned(Shape((2,), 2), ("well", "ill")))
    assert case.parts == ("line 2", "line 4")
    assert [one.name for one in case.left_out] == ["rows.csv line 3"]


def test_a_table_without_a_learned_column_is_refused_with_the_nearest_name(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("agee,bp\n63,140\n")
    source = Table(str(tmp_path), features=("age", "bp"), classes=("well", "ill"))
    with pytest.raises(UnknownNameError, match="did you mean 'agee'"):
        new_inputs(source, NewFile("table", (path,), "rows"), (2,))


def test_columns_that_are_not_those_of_training_are_refused_where_the_study_names_none(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("age,height\n63,140\n")
    source = Table(str(tmp_path), classes=("well", "ill"))
    with pytest.raises(SourceError, match="other columns than the network learned on"):
        new_inputs(source, NewFile("table", (path,), "rows"), (2,), columns_digest(("age", "bp")))


def test_a_table_scaled_by_each_hospital_has_no_scale_for_new_rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("age,bp\n63,140\n")
    with pytest.raises(SourceError, match="cannot be brought to the scale"):
        new_inputs(Table(str(tmp_path), scaling="hospital"), NewFile("table", (path,), "rows"), (2,))


def test_rows_of_the_heart_files_are_prepared_as_in_training_with_or_without_a_diagnosis(tmp_path):
    options, _ = make_heart(tmp_path)
    source = Heart(**options)
    trained = source.cases("cleveland", 0).inputs
    path = tmp_path / "processed.cleveland.data"
    new = tmp_path / "new.csv"
    new.write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()))
    for one in (path, new):
        (shown,) = new_inputs(source, NewFile("table", (one,), "new"), (13,))
        assert np.array_equal(shown, trained)


def test_arrays_are_prepared_as_in_training(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (4, 6, 6, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(4) % 2)
    source = Npz(str(tmp_path), divide_by=255.0)
    trained = source.cases("a", 0).inputs
    np.savez(tmp_path / "new.npz", images=images)
    (shown,) = new_inputs(source, NewFile("npz", (tmp_path / "new.npz",), "new"), (3, 6, 6))
    assert np.array_equal(shown, trained)


def test_every_source_that_prepares_new_files_says_of_which_kinds():
    for source in (Nifti, Dicom, Images, Table, Npz, Heart):
        assert source.new_kinds and callable(source.new_cases)
