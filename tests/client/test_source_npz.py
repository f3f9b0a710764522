"""Arrays in .npz files: found by their usual names, checked for what they must be, never unpickled."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.source import Source
from common.data.cases import Cases
from common.errors import SourceError, StudyError, UnknownNameError
from common.study.catalogue import SOURCES
from common.study.options import Entry

X = np.arange(12, dtype=np.float32).reshape(4, 3)
Y = np.array([0, 1, 1, 0])
IMAGES = np.arange(4 * 6 * 7, dtype=np.uint8).reshape(4, 6, 7)


def source(folder: Path, **options: Any) -> Source:
    return SOURCES.build(Entry("npz", {"folder": str(folder), **options}))


def cases(folder: Path, options: Any = None, site: str = "a", **arrays: Any) -> Cases:
    np.savez(folder / "a.npz", **arrays)
    return source(folder, **(options or {})).cases(site, 0)


def test_arrays_are_known_by_their_usual_names(tmp_path: Path) -> None:
    found = cases(tmp_path, X=X, labels=Y, patient=np.array([7, 7, 8, 9]), split=["train", "val", "test", "Train"])
    assert found.inputs.tolist() == X.tolist()
    assert (found.targets.tolist(), found.classes) == ([0, 1, 1, 0], ("class 0", "class 1"))
    assert found.patients.tolist() == ["7", "7", "8", "9"]
    assert found.given_split is not None and found.given_split.tolist() == ["train", "validation", "test", "train"]


def test_one_file_of_all_hospitals(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=X, y=Y, centre=["Ko\u0308ln", "Bonn", " Köln", "Bonn"])
    made = source(tmp_path, file="all.npz", site="centre")
    assert made.sites() == ("Bonn", "Köln")
    assert made.cases("Köln", 0).inputs.tolist() == X[[0, 2]].tolist()
    assert len(source(tmp_path, file="all.npz").cases(None, 0)) == 4


def test_classes_are_those_of_all_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", x=X, y=[2, 0, 0, 0])
    assert cases(tmp_path, x=X, y=Y).classes == ("class 0", "class 1", "class 2")
    np.savez(tmp_path / "b.npz", x=X, y=["ill", "well", "ill", "ill"])
    assert cases(tmp_path, x=X, y=["well", "ill", "ill", "ill"]).targets.tolist() == [1, 0, 0, 0]


def test_files_that_come_change_or_become_links_are_noticed_though_the_listing_is_kept(tmp_path: Path) -> None:
    """Thousands of hospitals of one process ask for all files: they are listed, and each read, once."""
    made = source(tmp_path)
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    long_ago = tmp_path.stat().st_mtime_ns - 10**10
    os.utime(tmp_path, ns=(long_ago, long_ago))
    assert made.sites() == ("a",) == made.sites() and made.cases("a", 0).classes == ("class 0", "class 1")
    np.savez(tmp_path / "b.npz", x=X, y=[2, 0, 0, 0])
    os.utime(tmp_path, ns=(long_ago + 1, long_ago + 1))
    assert made.sites() == ("a", "b") and made.cases("a", 0).classes == ("class 0", "class 1", "class 2")
    np.savez(tmp_path / "b.npz", x=X, y=[3, 0, 0, 3])
    os.utime(tmp_path / "b.npz", ns=(long_ago, long_ago))
    os.utime(tmp_path, ns=(long_ago + 1, long_ago + 1))
    assert len(made.cases("a", 0).classes) == 4
    (tmp_path / "b.npz").unlink()
    (tmp_path / "b.npz").symlink_to(tmp_path / "a.npz")
    os.utime(tmp_path, ns=(long_ago + 2, long_ago + 2))
    with pytest.raises(SourceError):
        made.sites()


@pytest.mark.parametrize(
    ("shape", "channels", "expected"),
    [
        ((4, 6, 7), "auto", (1, 6, 7)),
        ((4, 6, 7, 3), "auto", (3, 6, 7)),
        ((4, 3, 6, 7), "auto", (3, 6, 7)),
        ((4, 6, 7, 8), "none", (1, 6, 7, 8)),
        ((4, 6, 7, 8), "last", (8, 6, 7)),
        ((4, 2, 5, 6, 7), "auto", (2, 5, 6, 7)),
    ],
)
def test_channels_come_first(shape: Any, channels: str, expected: Any, tmp_path: Path) -> None:
    images = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    found = cases(tmp_path, {"channels": channels}, x=images, y=Y).inputs
    assert found.shape[1:] == expected
    assert found[1].sum() == images[1].sum(dtype=np.float64)


def test_masks_and_spacing(tmp_path: Path) -> None:
    masks = (IMAGES % 2).astype(np.uint8)
    found = cases(tmp_path, {"divide_by": 255}, images=IMAGES, masks=masks, spacing=[0.5, 2.0])
    assert (found.targets == masks).all() and found.spacing_mm == (0.5, 2.0)
    assert found.inputs.max() <= 1


def test_numbers_and_times_with_events(tmp_path: Path) -> None:
    found = cases(tmp_path, {"target": "number"}, x=X, y=np.array([[1.5], [2], [3], [4]]))
    assert (found.targets.tolist(), found.classes) == ([1.5, 2, 3, 4], ())
    found = cases(tmp_path, {"target": "survival"}, x=X, time=[1, 2, 3, 4.5], event=[True, False, False, True])
    assert found.targets.tolist() == [[1, 1], [2, 0], [3, 0], [4.5, 1]]


def test_a_case_that_is_not_finite_is_quarantined_by_its_place(tmp_path: Path) -> None:
    broken = X.copy()
    broken[2, 1] = np.inf
    found = cases(tmp_path, x=broken, y=Y)
    assert len(found) == 3
    assert [one.name for one in found.quarantined] == ["a.npz case 3"]


@pytest.mark.parametrize(
    ("arrays", "options", "said"),
    [
        ({"q": X, "y": Y}, {}, r"no array by a usual name for inputs: it holds q \(4, 3\), y \(4,\)"),
        ({"x": X, "images": X, "y": Y}, {}, "images and x|x and images"),
        ({"x": X, "y": Y}, {"inputs": "xx"}, "did you mean 'x'"),
        ({"x": X, "y": Y[:3]}, {}, "as many rows of every array.*x 4, y 3"),
        ({"x": X[:0], "y": Y[:0]}, {}, "as many rows"),
        ({"x": np.float32(3), "y": Y}, {}, "as many rows"),
        ({"x": X.astype(complex), "y": Y}, {}, "must hold numbers"),
        ({"x": X, "y": Y + 0.5}, {}, "source.target to 'number'"),
        ({"x": X, "y": Y - 1}, {}, "whole numbers from 0"),
        ({"x": X, "y": Y * 5}, {"classes": ["a", "b"]}, "holds class 5; there are 2"),
        ({"x": X, "y": ["a", "b", "c", "a"]}, {"classes": ["a", "b"]}, "'c', no class"),
        ({"x": np.zeros((4, 6, 7, 8)), "y": Y}, {}, "set source.channels|Set source.channels"),
        ({"x": IMAGES, "y": IMAGES[:, :5] % 2}, {}, "one label a case or one a pixel"),
        ({"x": IMAGES, "y": Y, "spacing": [1.0, 0.0]}, {}, "above 0 mm"),
        ({"x": IMAGES, "y": Y, "spacing": [1.0, 1, 1]}, {}, "along each axis"),
        ({"x": X, "y": Y, "split": ["a"] * 4}, {}, "write train, validation or test"),
        ({"x": X, "y": Y, "person": ["a", "", "b", "c"]}, {}, "case 2 .* names no person"),
        ({"x": X, "time": Y, "event": Y + 1}, {"target": "survival"}, "events 0 or 1"),
        ({"x": X, "y": Y, "person": ["04", "4", "b", "c"]}, {}, "one person or two"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(arrays: Any, options: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises((SourceError, UnknownNameError), match=said):
        cases(tmp_path, options, **arrays)


def test_objects_are_never_unpickled_and_said_to_be_so(tmp_path: Path) -> None:
    ragged = np.empty(4, dtype=object)
    ragged[:] = [np.zeros(2), np.zeros(3), np.zeros(2), np.zeros(2)]
    with pytest.raises(SourceError, match="Python objects, which are never unpickled"):
        cases(tmp_path, x=ragged, y=Y)


def test_a_header_that_promises_more_than_the_archive_holds_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 3)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x.npy", header.getvalue())
        file.writestr("y.npy", header.getvalue())
    with pytest.raises(SourceError, match="not a readable"):
        source(tmp_path, classes=["a", "b"]).cases("a", 0)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_what_is_no_npz_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(SourceError, match="not a readable"):
        source(tmp_path).cases("a", 0)


def test_links_are_not_followed(tmp_path: Path) -> None:
    np.savez(tmp_path / "secret.npz", x=X, y=Y)
    (inner := tmp_path / "in").mkdir()
    (inner / "a.npz").symlink_to(tmp_path / "secret.npz")
    with pytest.raises(SourceError, match="regular file"):
        source(inner).sites()


@pytest.mark.parametrize("options", [{"site": "s"}, {"classes": ["a"]}, {"divide_by": 0}, {"channels": "firs"}])
def test_options_are_checked_before_any_file_is_read(options: Any, tmp_path: Path) -> None:
    with pytest.raises(StudyError):
        source(tmp_path, **options)
