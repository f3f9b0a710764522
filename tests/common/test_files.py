"""The one door to files in folders that others may have prepared."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from stat import S_IMODE

import pytest

from common.errors import FileError
from common.files import access as files
from common.files import json_files, tensor_files


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".", "a/.", "a\0b"])
def test_a_name_that_could_lead_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    for use in (files.read, files.append, files.write):
        with pytest.raises(FileError, match="no name below it"):
            use(tmp_path / "in", name, *([b""] if use is not files.read else []))  # type: ignore[operator]


def test_what_was_written_is_read_again_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = files.write(tmp_path / "a" / "b", "c/d.txt", "é")
    finally:
        os.umask(before)
    assert files.read_text(tmp_path / "a" / "b", "c/d.txt") == "é"
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert {S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parents[1], path.parents[2])} == {0o700}


def test_a_block_that_raises_leaves_the_file_that_was_there_and_no_other(tmp_path: Path) -> None:
    files.write(tmp_path, "a", "before")

    def half() -> None:
        with files.writing(tmp_path, "a") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "before")]


def test_a_file_is_created_once(tmp_path: Path) -> None:
    assert files.create(tmp_path, "key", b"first")
    assert not files.create(tmp_path, "key", b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("key", b"first")]


def test_a_dangling_link_is_there_and_is_neither_created_nor_read(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    assert files.is_there(tmp_path, "key")
    assert not files.create(tmp_path, "key", b"x")
    with pytest.raises(FileError, match="not a regular file"):
        files.read(tmp_path, "key")
    assert not (tmp_path / "elsewhere").exists()


def test_a_temporary_name_that_was_guessed_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("kept")
    (tmp_path / ".a.guessed").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(files, "token_hex", lambda _: "guessed")
    with pytest.raises(FileError):
        files.write(tmp_path, "a", "x")
    assert (tmp_path / "secret").read_text() == "kept"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "second name"])
def test_nothing_is_added_but_to_a_file_of_one_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("kept")
    place = tmp_path / "log"
    {
        "link": lambda: place.symlink_to("secret"),
        "pipe": lambda: os.mkfifo(place),
        "folder": place.mkdir,
        "second name": lambda: place.hardlink_to(tmp_path / "secret"),
    }[kind]()
    with pytest.raises(FileError):
        files.append(tmp_path, "log", "x")
    assert (tmp_path / "secret").read_text() == "kept"


def test_a_file_larger_than_may_be_is_not_read(tmp_path: Path) -> None:
    files.write(tmp_path, "a", "12345")
    assert files.read(tmp_path, "a", 5) == b"12345"
    with pytest.raises(FileError, match="at most 4 are read"):
        files.read(tmp_path, "a", 4)


def test_a_file_that_a_person_names_may_be_a_link_and_not_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("\ufefftext", encoding="utf-8")
    (tmp_path / "link").symlink_to("a")
    assert files.read_all_text(tmp_path / "link") == "text"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="not a regular file"):
        files.read_all(tmp_path / "pipe")


def test_a_stream_is_written_into_and_not_replaced() -> None:
    files.write_to(Path(os.devnull), "x")
    assert not Path(os.devnull).is_file()


def test_half_a_surrogate_pair_becomes_a_question_mark(tmp_path: Path) -> None:
    assert files.write(tmp_path, "a", "x\ud800y").read_text() == "x?y"


def test_what_is_in_a_folder_is_named_and_an_absent_one_is_empty(tmp_path: Path) -> None:
    files.write(tmp_path, "a/2", "")
    files.write(tmp_path, "a/1", "")
    assert (files.names(tmp_path, "a"), files.names(tmp_path, "b")) == (["1", "2"], [])
    (tmp_path / "c").symlink_to("a")
    with pytest.raises(FileError, match="a link or a file where a folder must be"):
        files.names(tmp_path, "c")


def test_the_umask_comes_back(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with files.kept_private():
            (tmp_path / "a").write_text("")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_an_error_of_a_file_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(FileError(Path("a"), "is damaged")))
    assert (str(error), error.reason) == ("a is damaged.", "is damaged")


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a": Infinity}', "[" * 100_000 + "]" * 100_000, "9" * 5000])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    files.write(tmp_path, "a.json", text)
    with pytest.raises(FileError, match="not JSON"):
        json_files.read_json(tmp_path, "a.json")


def test_a_damaged_line_is_named_by_its_number(tmp_path: Path) -> None:
    files.write(tmp_path, "a.jsonl", '{"a": 1}\n\n[]\n')
    with pytest.raises(FileError, match=r"a\.jsonl, line 3,"):
        json_files.read_lines(tmp_path, "a.jsonl")


@pytest.mark.parametrize("length", [0, 3, 1 << 30, (1 << 64) - 1])
def test_a_tensor_file_whose_header_cannot_be_is_refused(tmp_path: Path, length: int) -> None:
    files.write(tmp_path, "a", length.to_bytes(8, "little") + b"{}  ")
    with pytest.raises(FileError, match="a "):
        tensor_files.read_tensors(tmp_path, "a")


def test_a_line_of_json_ends_where_it_was_ended_and_not_at_what_looks_like_an_end(tmp_path: Path) -> None:
    said = [{"reason": "a\u2028b\u0085c\u2029d"}, {"reason": "\x1c"}]
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in said)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    assert json_files.read_lines(tmp_path, "a.jsonl") == said
