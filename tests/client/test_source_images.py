"""Images, masks, persons and hospitals: what comes out, pixel by pixel, and what is left out with its reason."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from client.source_abilities import streaming
from client.sources._image_pixels import read_pages
from client.sources.images import Images
from common.data.cases import Cases
from common.errors import SourceError, StudyError
from common.study.study import parse
from experiments.engines._quiet import run_quietly

BLACK = np.zeros((4, 6), np.uint8)
MASKED: dict[str, Any] = {"masks": "masks/{name}.png", "classes": ("background", "lesion"), "size": 0}


def save(path: Path, values: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def two_classes(folder: Path) -> None:
    """One usable image of each class, so that what is added beside them can be quarantined."""
    save(folder / "ill" / "a.png", BLACK)
    save(folder / "well" / "b.png", BLACK + 255)


def masked(folder: Path, image: np.ndarray, mask: np.ndarray, **options: Any) -> Cases:
    save(folder / "images" / "p.png", image)
    save(folder / "masks" / "p.png", mask)
    return Images(str(folder), **{**MASKED, **options}).cases(None, 0)


def reasons(cases: Cases) -> dict[str, str]:
    return {one.name: one.reason for one in cases.quarantined}


def test_sites_classes_and_persons_are_read_from_paths(tmp_path: Path) -> None:
    for site, kind, name in (("Köln", "ill", "p1_a"), ("Köln", "ill", "p1_b"), ("Köln", "well", "p2_a")):
        save(tmp_path / site / kind / f"{name}.png", BLACK)
    save(tmp_path / "Bonn" / "well" / "p3_a.png", BLACK)
    source = Images(str(tmp_path), images="{site}/{class}/{person}_*.png", size=0)
    assert source.sites() == ("Bonn", "Köln")
    cases = source.cases("Köln", 0)
    assert cases.classes == ("ill", "well")
    assert cases.targets.tolist() == [0, 0, 1] and cases.patients.tolist() == ["p1", "p1", "p2"]
    assert cases.inputs.shape == (3, 1, 4, 6)
    assert streaming(source) is source
    assert [path.name for path in source.files("Köln")] == ["p1_a.png", "p1_b.png", "p2_a.png"]


def test_a_hospital_spelt_in_two_forms_of_unicode_is_one(tmp_path: Path) -> None:
    for number, site in enumerate(("K\u00f6ln", "Ko\u0308ln")):
        save(tmp_path / site / "ill" / f"{number}.png", BLACK)
        save(tmp_path / site / "well" / f"{number}.png", BLACK)
    source = Images(str(tmp_path), images="{site}/{class}/*.png", size=0)
    assert source.sites() == ("K\u00f6ln",)
    assert len(source.cases("K\u00f6ln", 0)) == 4


def test_intensities_follow_the_type_of_the_file(tmp_path: Path) -> None:
    values = np.array([[0, 51, 255], [0, 0, 0]])
    save(tmp_path / "a" / "8.png", values.astype(np.uint8))
    save(tmp_path / "a" / "16.png", (values * 257).astype(np.uint16))
    tifffile.imwrite(tmp_path / "a" / "16.tif", (values * 257).astype(np.uint16))
    tifffile.imwrite(tmp_path / "a" / "rgb16.tif", np.stack([values * 257] * 3, -1).astype(np.uint16))
    tifffile.imwrite(tmp_path / "a" / "white.tif", (255 - values).astype(np.uint8), photometric="miniswhite")
    tifffile.imwrite(tmp_path / "a" / "float.tif", (values / 255).astype(np.float64))
    save(tmp_path / "b" / "1.png", values > 100)
    cases = Images(str(tmp_path), size=0, classes=("a", "b")).cases(None, 0)
    assert cases.quarantined == () and len(cases) == 7
    np.testing.assert_allclose(cases.inputs[:6, 0, 0], [[0, 0.2, 1]] * 6, atol=1e-6)
    np.testing.assert_array_equal(cases.inputs[6, 0, 0], [0, 0, 1])


def test_limits_that_a_study_names_become_0_and_1(tmp_path: Path) -> None:
    for kind in "ab":
        (tmp_path / kind).mkdir()
        tifffile.imwrite(tmp_path / kind / "x.tif", np.array([[-1000, 0, 400], [-2000, 200, 1000]], np.int16))
    cases = Images(str(tmp_path), size=0, intensities=(-1000.0, 1000.0)).cases(None, 0)
    np.testing.assert_allclose(cases.inputs[0, 0], [[0, 0.5, 0.7], [0, 0.6, 1]], atol=1e-6)


def test_colour_is_kept_or_refused_and_never_lost_in_silence(tmp_path: Path) -> None:
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 255
    for kind in ("ill", "well"):
        save(tmp_path / kind / "a.png", red)
    with pytest.raises(SourceError, match=r"is in colour: set source\.colour to 'rgb'"):
        Images(str(tmp_path)).cases(None, 0)
    rgb = Images(str(tmp_path), colour="rgb", size=0).cases(None, 0)
    assert rgb.inputs[0, :, 0, 0].tolist() == [1, 0, 0]
    grey = Images(str(tmp_path), colour="luminance", size=0).cases(None, 0)
    assert grey.inputs[0, 0, 0, 0] == pytest.approx(0.299)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_images_are_turned_upright_as_pillow_does(tmp_path: Path, orientation: int, ending: str) -> None:
    values = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3) * 50, 8, 0), 8, 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("ill", "well"):
        path = tmp_path / kind / f"a.{ending}"
        path.parent.mkdir()
        if ending == "tif":
            tifffile.imwrite(path, values, compression="zlib", extratags=[(274, "H", 1, orientation, True)])
        else:
            save(path, values, exif=exif, quality=100)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    cases = Images(str(tmp_path), size=0).cases(None, 0)
    np.testing.assert_allclose(cases.inputs[0, 0] * 255, expected, atol=1e-3)


def test_what_cannot_be_used_is_quarantined_one_by_one_with_a_reason_that_helps(tmp_path: Path) -> None:
    two_classes(tmp_path)
    good = (tmp_path / "ill" / "a.png").read_bytes()
    (tmp_path / "ill" / "empty.png").write_bytes(b"")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    for name in ("short.png", "short.jpg", "short.tif"):
        path = save(tmp_path / "ill" / name, noise)
        path.write_bytes(path.read_bytes()[:300])
    (tmp_path / "ill" / "named.jpg").write_bytes(good)
    (tmp_path / "ill" / "scan.dcm").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "ill" / "text.png").write_bytes(b"hello")
    (tmp_path / "ill" / "link.png").symlink_to(tmp_path / "well" / "b.png")
    (tmp_path / "ill" / "out.png").symlink_to("/etc/passwd")
    (tmp_path / "ill" / "stack.tif").write_bytes(b"")
    tifffile.imwrite(tmp_path / "ill" / "stack.tif", np.zeros((3, 4, 6), np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "ill" / "nan.tif", np.full((4, 6), np.nan, np.float32))
    cases = Images(str(tmp_path), classes=("ill", "well"), size=0).cases(None, 0)
    found = reasons(cases)
    assert len(cases) == 2
    for name, words in {
        "empty.png": "is empty (0 bytes)",
        "short.png": "damaged or cut short",
        "short.jpg": "damaged or cut short",
        "short.tif": "damaged or cut short",
        "named.jpg": "is a PNG file, though its name ends in .jpg",
        "scan.dcm": "ends in .dcm",
        "text.png": "is no PNG file",
        "link.png": "is a link",
        "out.png": "is a link",
        "stack.tif": "holds 3 pages: set source.pages = 'each'",
        "nan.tif": "not finite",
    }.items():
        assert words in found.pop(f"ill/{name}"), name
    assert found == {}


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    two_classes(tmp_path)
    png = bytearray((tmp_path / "ill" / "a.png").read_bytes())
    png[16:24] = struct.pack(">II", 30_000, 30_000)
    png[29:33] = struct.pack(">I", crc32(png[12:29]))
    (tmp_path / "ill" / "bomb.png").write_bytes(png)
    tifffile.imwrite(tmp_path / "ill" / "bomb.tif", BLACK)
    with tifffile.TiffFile(tmp_path / "ill" / "bomb.tif", mode="r+") as file:
        for name in ("ImageLength", "ImageWidth"):
            file.pages[0].tags[name].overwrite(30_000)  # type: ignore[union-attr]
    found = reasons(Images(str(tmp_path), size=0).cases(None, 0))
    assert all("unpacks to more than" in found[f"ill/bomb.{ending}"] for ending in ("png", "tif"))


def test_files_that_no_pattern_matches_are_told_in_one_entry(tmp_path: Path) -> None:
    two_classes(tmp_path)
    save(tmp_path / "c.png", BLACK)
    save(tmp_path / "d.png", BLACK)
    (tmp_path / "notes.txt").write_text("no image")
    (entry,) = Images(str(tmp_path), size=0).cases(None, 0).quarantined
    assert "belong to no image" in entry.reason and "c.png, d.png" in entry.reason


def test_each_page_of_a_tiff_is_a_case_of_the_same_person_where_a_study_says_so(tmp_path: Path) -> None:
    two_classes(tmp_path)
    tifffile.imwrite(tmp_path / "ill" / "s.tif", np.zeros((3, 4, 6), np.uint8), photometric="minisblack")
    cases = Images(str(tmp_path), size=0, pages="each").cases(None, 0)
    assert cases.patients.tolist() == ["ill/a", "ill/s", "ill/s", "ill/s", "well/b"]


@pytest.mark.parametrize(
    ("stored", "options"),
    [
        ([0, 255], {}),
        ([0, 1], {}),
        ([7, 9], {"mask_values": (7, 9)}),
        ([0, 1, 2], {"classes": ("background", "core", "edge")}),
    ],
)
def test_exact_values_of_a_mask_become_classes(tmp_path: Path, stored: list[int], options: dict[str, Any]) -> None:
    labels = np.arange(24).reshape(4, 6) % len(stored)
    cases = masked(tmp_path, BLACK, np.array(stored, np.uint8)[labels], **options)
    np.testing.assert_array_equal(cases.targets[0], labels)
    assert cases.array("removed").tolist() == [[0] * len(cases.classes)]


def test_colours_of_a_mask_are_named_by_the_user_in_a_palette_or_not(tmp_path: Path) -> None:
    labels = np.arange(24).reshape(4, 6) % 2
    colours = np.array([[0, 0, 0], [255, 0, 16]], np.uint8)
    options = {"mask_values": ("#000000", "#ff0010")}
    np.testing.assert_array_equal(masked(tmp_path, BLACK, colours[labels], **options).targets[0], labels)
    palette = Image.fromarray(labels.astype(np.uint8), "P")
    palette.putpalette(colours.tobytes())
    palette.save(tmp_path / "masks" / "p.png")
    np.testing.assert_array_equal(Images(str(tmp_path), **MASKED, **options).cases(None, 0).targets[0], labels)
    np.testing.assert_array_equal(Images(str(tmp_path), **MASKED).cases(None, 0).targets[0], labels)


def test_a_smoothed_mask_is_refused_with_the_values_found(tmp_path: Path) -> None:
    smoothed = np.array([[0, 17, 128, 255]] * 4, np.uint8)
    with pytest.raises(SourceError, match=r"0, 17, 128, 255, where classes are 0 = background, 255 = lesion.*PNG"):
        masked(tmp_path, np.zeros((4, 4), np.uint8), smoothed)
    with pytest.raises(SourceError, match="the mask is in colours"):
        masked(tmp_path, BLACK, np.full((4, 6, 3), (255, 0, 0), np.uint8))


def test_a_jpeg_is_no_mask(tmp_path: Path) -> None:
    save(tmp_path / "images" / "p.png", BLACK)
    save(tmp_path / "masks" / "p.jpg", BLACK)
    with pytest.raises(SourceError, match="a JPEG, which blurs outlines"):
        Images(str(tmp_path), **{**MASKED, "masks": "masks/{name}.jpg"}).cases(None, 0)


def test_a_mask_of_another_shape_or_none_is_quarantined(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / "images" / f"{name}.png", BLACK)
    save(tmp_path / "masks" / "a.png", BLACK)
    save(tmp_path / "masks" / "b.png", BLACK.T)
    found = reasons(Images(str(tmp_path), **MASKED).cases(None, 0))
    assert "has 4 x 6 pixels, and its mask masks/b.png 6 x 4" in found["images/b.png"]
    assert found["images/c.png"] == "has no mask: masks/c.png must be one file"


def test_several_masks_of_an_image_are_told_apart_by_a_field_in_the_place_of_a_star(tmp_path: Path) -> None:
    for view in "ab":
        save(tmp_path / "images" / f"p_{view}.png", BLACK)
        save(tmp_path / "masks" / f"p_{view}.png", BLACK)
    options = {**MASKED, "images": "images/{person}_*.png", "masks": "masks/{person}_*.png"}
    with pytest.raises(SourceError, match=r"write a field, such as \{view\}, for"):
        Images(str(tmp_path), **options).cases(None, 0)
    named = {**MASKED, "images": "images/{person}_{view}.png", "masks": "masks/{person}_{view}.png"}
    assert list(Images(str(tmp_path), **named).cases(None, 0).patients) == ["p", "p"]


@pytest.mark.parametrize("rescaling", ["majority", "nearest"])
@pytest.mark.parametrize("aspect", ["pad", "crop", "stretch"])
def test_images_and_masks_of_any_size_stay_one_on_the_other(tmp_path: Path, aspect: Any, rescaling: Any) -> None:
    """A disc in the image and in its mask, brought to another size, still covers the same pixels."""
    rows, columns = np.mgrid[:60, :90]
    disc = (rows - 25) ** 2 + (columns - 50) ** 2 < 15**2
    options = {"size": (40, 40), "aspect": aspect, "mask_rescaling": rescaling}
    cases = masked(tmp_path, disc * np.uint8(255), disc.astype(np.uint8), **options)
    assert cases.inputs.shape == (1, 1, 40, 40)
    differs = (cases.inputs[0, 0] > 0.5) != (cases.targets[0] == 1)
    assert differs.sum() <= 0.06 * (cases.targets[0] == 1).sum()


def test_truth_that_cropping_cuts_away_is_counted(tmp_path: Path) -> None:
    """4 x 8 pixels cropped to 4 x 4 about the centre: columns 2 to 5 stay."""
    mask = np.zeros((4, 8), np.uint8)
    mask[0, :4] = 1
    cases = masked(tmp_path, np.zeros((4, 8), np.uint8), mask, size=4, aspect="crop")
    assert cases.array("removed").tolist() == [[14, 2]]
    assert cases.targets[0, 0].tolist() == [1, 1, 0, 0]


def test_a_lesion_that_shrinking_makes_vanish_is_counted(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[10, 10] = 1
    cases = masked(tmp_path, mask, mask, size=8)
    assert cases.targets.sum() == 0 and cases.array("removed").tolist() == [[0, 1]]


def test_padding_is_background_and_cuts_nothing(tmp_path: Path) -> None:
    cases = masked(tmp_path, np.full((4, 8), 255, np.uint8), np.ones((4, 8), np.uint8), size=8)
    assert cases.targets[0].sum() == 32 and cases.targets[0, :2].sum() == 0
    assert cases.inputs[0, 0, :2].sum() == 0 and cases.array("removed").tolist() == [[0, 0]]


def test_a_table_names_paths_labels_persons_hospitals_splits_and_spacing(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "files" / f"{name}.png", BLACK)
    (tmp_path / "t.csv").write_text(
        "\ufeffbild;befund;subject;klinik;mm;teil\nfiles/a.png;krank;07;Köln;0,5;train\nfiles\\b.png;gesund;8;Köln;0,25;val\n"
        "files/absent.png;krank;9;Köln;0,5;test\n../c.png;krank;10;Köln;0,5;test\nfiles/c.png;krank;11;Köln;-9;train\n",
        encoding="utf-8",
    )
    source = Images(
        str(tmp_path),
        table="t.csv",
        path="bild",
        label="befund",
        site="klinik",
        split="teil",
        spacing=("mm",),
        size=(8, 12),
    )
    assert source.sites() == ("Köln",)
    cases = source.cases("Köln", 0)
    assert cases.classes == ("gesund", "krank") and cases.targets.tolist() == [1, 0]
    assert cases.patients.tolist() == ["07", "8"]
    assert cases.array("spacing_mm").tolist() == [[0.25, 0.25], [0.125, 0.125]]
    assert cases.given_split is not None and cases.given_split.tolist() == ["train", "validation"]
    assert cases.prescribed == ("validation", "test")
    found = reasons(cases)
    assert "No such file" in found["files/absent.png"] and "is no spacing in millimetres" in found["files/c.png"]
    assert "names no file below the folder" in found["line 5"]


def test_resolution_is_spacing_only_where_a_study_says_so(tmp_path: Path) -> None:
    for kind in ("ill", "well"):
        save(tmp_path / kind / "a.png", BLACK, dpi=(254, 127))
    assert Images(str(tmp_path), size=0).cases(None, 0).spacing_mm == ()
    np.testing.assert_allclose(Images(str(tmp_path), size=0, dpi=True).cases(None, 0).spacing_mm, (0.2, 0.1), 1e-3)
    halved = Images(str(tmp_path), size=(2, 3), dpi=True).cases(None, 0)
    np.testing.assert_allclose(halved.spacing_mm, (0.4, 0.2), 1e-3)


def test_labels_that_the_study_does_not_name_are_left_out_with_the_nearest_word(tmp_path: Path) -> None:
    two_classes(tmp_path)
    save(tmp_path / "wel" / "c.png", BLACK)
    found = reasons(Images(str(tmp_path), classes=("ill", "well"), size=0).cases(None, 0))
    assert "did you mean 'well'?" in found["wel/c.png"]
    assert [one.option for one in Images().pooled_statistics] == ["source.classes = []"]
    assert Images(classes=("ill", "well")).pooled_statistics == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images": "{site}/*.png"}, "needs labels"),
        ({"images": "/x/{class}/*"}, "below source.folder"),
        ({"images": "../{class}/*"}, "below source.folder"),
        ({"images": "{cla ss}/*"}, "fields in braces"),
        ({"masks": "m/{nam}.png", "classes": ("a", "b")}, "did you mean 'name'?"),
        ({"masks": "m/{name}.png"}, "masks need 2 to 256 classes"),
        ({"mask_values": (0, 1)}, "is for masks"),
        ({"table": "t.csv"}, "needs the name of one column"),
        ({"table": "t.csv", "label": "x", "images": "{class}/*"}, "not both"),
        ({"person": "x"}, "names a column of source.table"),
        ({"size": (1, 2, 3)}, "one length or"),
        ({"size": -1}, "size"),
        ({"intensities": (1.0, 1.0)}, "low below high"),
        ({"aspect": "padd"}, "did you mean 'pad'?"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words.replace("?", r"\?")):
        Images(**options)


def test_shapes_that_differ_are_kept_apart_where_no_size_is_named(tmp_path: Path) -> None:
    two_classes(tmp_path)
    save(tmp_path / "ill" / "z.png", np.zeros((9, 6), np.uint8))
    assert Images(str(tmp_path), size=0).cases(None, 0).shape.inputs == (1, 0, 6)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_whatever_damage_a_file_has_it_is_read_or_refused_in_words(tmp_path: Path, ending: str) -> None:
    rng = np.random.default_rng(3)
    whole = save(tmp_path / f"a.{ending}", rng.integers(0, 256, (9, 7), dtype=np.uint8)).read_bytes()
    for number in range(60):
        data = bytearray(whole)
        for _ in range(1 + number % 4):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        (tmp_path / f"a.{ending}").write_bytes(data[: len(data) - int(rng.integers(3)) * number // 4])
        with suppress(SourceError):
            assert all(page.values.size for page in read_pages(tmp_path, f"a.{ending}"))


def test_discs_in_masks_are_learned_under_a_sum_though_no_spacing_is_known(tmp_path: Path) -> None:
    """Distances are then in voxels, whose names the coordinator must have a place for before it saw a case."""
    rows, columns = np.mgrid[:16, :16]
    for site in "ABC":
        for person in range(4):
            disc = (rows - 5 - person) ** 2 + (columns - 8) ** 2 < 16
            save(tmp_path / "images" / site / f"p{person}{site}.png", disc * np.uint8(200))
            save(tmp_path / "masks" / site / f"p{person}{site}.png", disc)
    text = f"""
title = "Discs"
rounds = 1
strategy = "fedavg"
engine = "inline"
split = {{ validation = 0.25, test = 0.25 }}
task = {{ name = "segmentation", network = {{ name = "unet", channels = 2, depth = 1 }} }}
[source]
name = "images"
folder = "{tmp_path}"
images = "images/{{site}}/{{person}}.png"
masks = "masks/{{site}}/{{person}}.png"
classes = ["background", "disc"]
size = 16
"""
    outcome = run_quietly(parse(text), tmp_path / "run")
    pooled = outcome.final["test"]["pooled"]
    assert outcome.about["state"] == "completed" and outcome.about["reveals"] == "sum"
    assert "hd95_voxels" in pooled and "hd95" not in pooled and pooled["dice"] is not None
