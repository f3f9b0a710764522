"""The DICOM source and files that are broken, hostile or no volume: put aside by name and reason, no other lost."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from client.sources import _dicom_headers, _dicom_pixels
from client.sources._dicom_decoding import DecoderProcess
from client.sources.dicom import Dicom
from common.data.cases import Cases, Quarantined
from common.errors import SourceError
from tests.client.dicom_files import blank, enhanced, image, save, save_all, slices, uid, values


def source(folder: Path, **options: Any) -> Dicom:
    (folder / "table.csv").write_text("PatientID,label\nP1,a\nP2,b\n")
    plain: dict[str, Any] = {
        "labels": "table",
        "table": "table.csv",
        "classes": ("a", "b"),
        "dimensions": 3,
        "size": 0,
    }
    return Dicom(str(folder), **{**plain, "normalisation": "none", **options})


def put_aside(folder: Path, **options: Any) -> list[Quarantined]:
    """What is put aside beside a sound series of P2, which stays what it is."""
    save_all(slices(values(), patient="P2"), folder / "sound")
    parts = list(source(folder, **options).parts(None, 0))
    (sound,) = [one for one in parts if isinstance(one, Cases) and one.patients.tolist() == ["p2"]]
    np.testing.assert_array_equal(sound.inputs[0, 0], values().transpose(2, 1, 0)[::-1, ::-1])
    assert not [one for one in parts if isinstance(one, Cases) and one is not sound]
    return [one for one in parts if isinstance(one, Quarantined) and "no series of it" not in one.reason]


def lacking(keyword: str) -> Callable[[list[Any]], Any]:
    return lambda made: delattr(made[1], keyword)


def given(number: int, **tags: Any) -> Callable[[list[Any]], Any]:
    return lambda made: [setattr(made[number], keyword, value) for keyword, value in tags.items()]


SERIES: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "a missing slice": (lambda made: made.pop(2), r"from 3 to 6 mm apart; some 1 slices"),
    "unequal gaps": (given(2, ImagePositionPatient=[10, 20, 36.5]), r"within 0.06 mm of an even"),
    "two images at a place": (given(2, ImagePositionPatient=[10, 20, 33]), "several images at one place"),
    "a lone slice": (lambda made: made.__delitem__(slice(1, None)), "lone slice"),
    "mixed orientations": (given(1, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), "mixes orientations"),
    "mixed shapes": (given(1, Rows=3, PixelData=bytes(36)), "mixes images of 3 x 6, 5 x 6"),
    "mixed pixels": (given(1, PixelSpacing=[1, 1]), "mixes sizes of pixels"),
    "no right angle": (
        lambda made: [setattr(one, "ImageOrientationPatient", [1, 0, 0, 1, 0, 0]) for one in made],
        "right",
    ),
    "no position": (lacking("ImagePositionPatient"), "lacks ImagePositionPatient"),
    "no orientation": (lacking("ImageOrientationPatient"), "lacks ImageOrientationPatient"),
    "no spacing": (lacking("PixelSpacing"), "lacks PixelSpacing"),
    "no rows": (lacking("Rows"), "lacks Rows"),
    "no bits": (lacking("BitsAllocated"), "lacks BitsAllocated"),
    "no pixels": (lacking("PixelData"), "lacks PixelData"),
    "a spacing of 0": (lambda made: [setattr(one, "PixelSpacing", [0, 1]) for one in made], "not above zero"),
    "a slope of 0": (given(0, RescaleSlope=0), "0 in RescaleSlope"),
    "cut pixels": (given(0, PixelData=bytes(20)), "20 of 60 bytes"),
    "too many pixels": (given(0, PixelData=bytes(240)), "240 bytes of pixels where"),
    "hostile rows": (given(0, Rows=65535, Columns=65535), "mixes images"),
    "all rows hostile": (
        lambda made: [(setattr(one, "Rows", 65535), setattr(one, "Columns", 65535)) for one in made],
        "at most 268435456",
    ),
    "frames without places": (given(0, NumberOfFrames=7), "PerFrameFunctionalGroupsSequence"),
    "hostile frames": (given(0, NumberOfFrames=2_000_000_000), "NumberOfFrames"),
    "another patient": (given(0, PatientID="P3"), "several patients"),
    "an unknown label": (lambda made: [setattr(one, "PatientID", "P9") for one in made], "no label"),
    "colours by a table": (
        lambda made: [setattr(one, "PhotometricInterpretation", "PALETTE COLOR") for one in made],
        "drawn in PALETTE COLOR",
    ),
    "no scale": (lacking("RescaleIntercept"), "lacks RescaleIntercept, without which"),
    "several units": (
        lambda made: [setattr(one, "RescaleType", ["HU", "US"][index % 2]) for index, one in enumerate(made)],
        r"several units \(HU, US\)",
    ),
    "a broken number": (lambda made: made[0].__setitem__(0x00280030, raw_words()), "PixelSpacing"),
}


def raw_words() -> Any:
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    return RawDataElement(Tag(0x00280030), "DS", 8, b"one\\two ", 0, False, True)


@pytest.mark.parametrize("what", SERIES)
def test_a_series_that_makes_no_volume_is_named_with_its_reason(what: str, tmp_path: Path) -> None:
    break_it, reason = SERIES[what]
    made = slices(values(seed=1))
    break_it(made)
    save_all(made, tmp_path / "bad")
    (one,) = put_aside(tmp_path)
    assert one.name.startswith("series 7 description of s1") and "bad" in one.name
    assert re.search(reason, one.reason), one.reason


FILES: dict[str, tuple[bytes, str]] = {
    "text.dcm": (b"hello" * 100, "no DICOM file"),
    "empty.dcm": (b"", "no DICOM file"),
    "IM0001": (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" * 20, "no DICOM file"),
    "1.2.840.5": (b"\0" * 300, "no DICOM file"),
    "cut.dcm": (b"\0" * 128 + b"DICM" + b"\x02\x00\x10", "not a readable|lacks SeriesInstanceUID"),
    "prefix.dcm": (b"\0" * 128 + b"DICM", "lacks SeriesInstanceUID|not a readable"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_looks_like_dicom_and_is_none_is_named(name: str, tmp_path: Path) -> None:
    content, reason = FILES[name]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / name).write_bytes(content)
    (one,) = put_aside(tmp_path)
    assert one.name == f"bad/{name}" and re.search(reason, one.reason)


def test_what_is_no_volume_is_counted_by_kind(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden").write_text("hello")
    (tmp_path / "DICOMDIR").write_bytes(b"anything")
    save(image(values()[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), tmp_path / "capture")
    save(image(np.zeros((3, 5, 6), np.int16), SamplesPerPixel=3, Rows=5), tmp_path / "colour")
    save(image(values()[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), tmp_path / "scout")
    report = blank("1.2.840.10008.5.1.4.1.1.88.11", instance="1.2")
    report.SeriesInstanceUID, report.Modality = "1.2.3", "SR"
    save(report, tmp_path / "report")
    found = {one.reason.partition(",")[0]: (one.name, one.reason) for one in put_aside(tmp_path)}
    assert sorted(found) == [
        "colour images",
        "localizers",
        "no DICOM",
        "reports and other objects without an image",
        "secondary captures",
    ]
    assert found["no DICOM"] == ("1 file", "no DICOM, left out: notes.txt")


def test_a_copy_of_an_image_is_the_image_and_another_image_of_its_name_is_not(tmp_path: Path) -> None:
    made = slices(values(), patient="P1")
    save_all(made, tmp_path / "a")
    save(made[0], tmp_path / "b" / "copy.dcm")
    assert len(source(tmp_path).cases(None, 0)) == 1
    made[0].RescaleIntercept = 5
    save(made[0], tmp_path / "b" / "copy.dcm")
    (one,) = put_aside(tmp_path)
    assert "they are one image" in one.reason and "b/copy.dcm" in one.reason


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    paths = save_all(slices(values()), tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link.dcm").symlink_to(paths[0])
    (one,) = put_aside(tmp_path / "data")
    assert one.name == "link.dcm" and "link" in one.reason


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_plain_transfer_syntax_is_read(syntax: Any, tmp_path: Path) -> None:
    for index, one in enumerate(slices(values(), patient="P1", syntax=syntax)):
        if syntax == ExplicitVRBigEndian:
            one.PixelData = np.frombuffer(one.PixelData, "<i2").astype(">i2").tobytes()
        one.add_new(0x00280120, "SS", -32768)
        big = {"implicit_vr": False, "little_endian": False, "force_encoding": True}
        options = big if syntax == ExplicitVRBigEndian else {"enforce_file_format": True}
        pydicom.dcmwrite(tmp_path / str(index), one, **options)
    cases = source(tmp_path).cases(None, 0)
    np.testing.assert_array_equal(cases.inputs[0, 0], values().transpose(2, 1, 0)[::-1, ::-1])


def compressed(syntax: Any, folder: Path) -> list[Path]:
    """Files that GDCM wrote anew in another transfer syntax."""
    import gdcm

    kinds = {
        RLELossless: gdcm.TransferSyntax.RLELossless,
        JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    }
    paths = save_all(slices(values(), patient="P1"), folder)
    for path in paths:
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(kinds[syntax]))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    return paths


def test_jpeg_2000_by_another_library_is_read(tmp_path: Path) -> None:
    stored = values().astype(np.uint16) & 0xFFF
    made = slices(stored, patient="P1", syntax=JPEG2000Lossless)
    for one, plane in zip(made, stored, strict=True):
        stream = io.BytesIO()
        Image.fromarray(plane).save(stream, "JPEG2000", irreversible=False, no_jp2=True, num_resolutions=1)
        one.PixelData = encapsulate([stream.getvalue()])
        one["PixelData"].VR = "OB"
    save_all(made, tmp_path)
    cases = source(tmp_path).cases(None, 0)
    np.testing.assert_array_equal(cases.inputs[0, 0], stored.transpose(2, 1, 0)[::-1, ::-1])


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1], ids=lambda one: one.name)
def test_compressed_pixels_are_read(syntax: Any, tmp_path: Path) -> None:
    compressed(syntax, tmp_path)
    cases = source(tmp_path).cases(None, 0)
    np.testing.assert_array_equal(cases.inputs[0, 0], values().transpose(2, 1, 0)[::-1, ::-1])


def test_a_plug_in_that_lacks_is_named_with_how_to_get_it(tmp_path: Path) -> None:
    compressed(JPEGLosslessSV1, tmp_path / "bad")
    decoder = get_decoder(JPEGLosslessSV1)
    before = dict(decoder._available)
    decoder.remove_plugin("gdcm")
    try:
        (one,) = put_aside(tmp_path)
    finally:
        decoder._available.update(before)
    assert "JPEG Lossless" in one.reason and "pip install 'wardround[dicom]'" in one.reason


def test_a_compressed_image_of_another_size_than_its_header_is_not_decoded(tmp_path: Path) -> None:
    for path in compressed(JPEGLosslessSV1, tmp_path / "bad"):
        data = bytearray(path.read_bytes())
        at = data.index(b"\xff\xc3")
        data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
        path.write_bytes(bytes(data))
    (one,) = put_aside(tmp_path)
    assert "(65535, 65535, 1)" in one.reason


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEG2000Lossless], ids=lambda one: one.name)
def test_a_compressed_image_that_was_cut_off_is_named(syntax: Any, tmp_path: Path) -> None:
    """Decoders fill up what is missing, and say nothing."""
    stored = np.random.default_rng(0).integers(0, 4096, (4, 32, 32)).astype(np.uint16)
    made = slices(stored, patient="P1", syntax=JPEG2000Lossless)
    for one, plane in zip(made, stored, strict=True):
        stream = io.BytesIO()
        Image.fromarray(plane).save(stream, "JPEG2000", irreversible=False, no_jp2=True, num_resolutions=1)
        one.PixelData = encapsulate([stream.getvalue()])
        one["PixelData"].VR = "OB"
    by_gdcm = syntax != JPEG2000Lossless
    paths = compressed(syntax, tmp_path / "bad") if by_gdcm else save_all(made, tmp_path / "bad")
    for path in paths:
        one = pydicom.dcmread(path)
        (content,) = generate_frames(one.PixelData, number_of_frames=1)
        one.PixelData = encapsulate([content.rstrip(b"\0")[: len(content) * 2 // 3]])
        one.save_as(path)
    (found,) = put_aside(tmp_path)
    assert "ends in the middle of a compressed image" in found.reason


def test_a_broken_codestream_is_named(tmp_path: Path) -> None:
    made = slices(values(), patient="P1", syntax=JPEGLosslessSV1)
    for one in made:
        one.PixelData = encapsulate([b"\xff\xd8\xff\xe0nothing of the kind\xff\xd9"])
        one["PixelData"].VR = "OB"
    save_all(made, tmp_path / "bad")
    (one,) = put_aside(tmp_path)
    assert "cannot be decoded" in one.reason


def test_a_decoder_that_a_damaged_image_brings_down_takes_nothing_with_it() -> None:
    with DecoderProcess() as apart:
        process = apart._started()
        process.kill()
        with pytest.raises(SourceError, match="brought down its decoder"):
            _asked_of(apart, process)
        with pytest.raises(SourceError, match="cannot be decoded"):
            apart.decoded(b"nothing", str(JPEGLosslessSV1), {"rows": 2, "columns": 2})


def _asked_of(apart: DecoderProcess, process: Any) -> None:
    """Ask the very process, as if it had been alive when it was looked at."""
    process.poll = lambda: None
    apart.decoded(b"nothing", str(JPEGLosslessSV1), {"rows": 2, "columns": 2})


def test_a_deflated_file_that_would_fill_the_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = slices(np.zeros((3, 40, 40), np.int16), patient="P1", syntax=DeflatedExplicitVRLittleEndian)
    save_all(made, tmp_path / "bad")
    monkeypatch.setattr(_dicom_headers, "LARGEST_UNPACKED_BYTES", 2000)
    assert {one.name.partition("/")[0] for one in put_aside(tmp_path)} == {"bad"}


def test_frames_that_their_file_does_not_place_are_put_aside(tmp_path: Path) -> None:
    one = enhanced(values(seed=1), order=[0, 1, 2, 3])
    del one.PerFrameFunctionalGroupsSequence[3]
    save(one, tmp_path / "bad" / "multi")
    (found,) = put_aside(tmp_path)
    assert "4 frames and 3 items" in found.reason


def test_a_stack_of_too_many_voxels_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_all(slices(values((9, 5, 6), seed=1)), tmp_path / "bad")
    monkeypatch.setattr(_dicom_pixels, "MOST_VOXELS", 150)
    (one,) = put_aside(tmp_path)
    assert "at most 150" in one.reason


def test_any_byte_of_a_file_may_be_another(tmp_path: Path) -> None:
    """What is read of a damaged file is put aside or is a volume; no error leaves the source."""
    rng = np.random.default_rng(0)
    original = save(slices(values(seed=1))[0], tmp_path / "one").read_bytes()
    (tmp_path / "one").unlink()
    for index in range(150):
        data = bytearray(original)
        for place in rng.integers(128, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        (tmp_path / f"bad{index}").write_bytes(
            bytes(data[: rng.integers(1, len(data) + 1)] if index % 3 == 0 else data)
        )
    save_all(slices(values(), patient="P2"), tmp_path / "sound")
    cases = source(tmp_path).cases(None, 0)
    assert "p2" in cases.patients and cases.quarantined


def test_uids_of_the_maker_are_the_same_every_time() -> None:
    assert uid("a") == uid("a") != uid("b")
