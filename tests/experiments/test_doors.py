"""What comes through a door in the wrong form, or cannot go out: one clear line, before the work."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from common.errors import FileError
from common.files.access import demand_writable
from common.study.study import Study, parse
from experiments.places import data_root_of, with_whole_folder
from experiments.running.run import run_study
from experiments.whole_tables import print_whole

TEXT = 'title = "Säule"\r\nrounds = 1\r\nsource = "phantom"\r\nstrategy = "fedavg"\r\naggregation = "plain"\r\n'
TEXT += 'task = { name = "segmentation", network = "unet" }\r\n'
Command = Callable[..., tuple[int, str]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xef\xbb\xbf" + TEXT.encode(), None),
        (TEXT.encode("utf-16"), "is not UTF-8 (byte 0); save it as UTF-8."),
        (TEXT.encode("utf-16-le").replace(b"\xe4", b"a"), "is not UTF-8 (a zero byte at 1); save it as UTF-8."),
        (TEXT.encode("latin-1"), "is not UTF-8 (byte 10); save it as UTF-8."),
        (b"", "is empty."),
        (b"title = 'a'\nrounds = \n", "is not valid TOML: Invalid value (at line 2, column 10)"),
    ],
)
def test_a_study_is_read_whatever_editor_wrote_it_or_refused_in_one_line(
    wardround: Command, tmp_path: Path, content: bytes, words: str | None
) -> None:
    (tmp_path / "study.toml").write_bytes(content)
    code, said = wardround("check", str(tmp_path / "study.toml"))
    if words is None:
        assert code == 0, said
        return
    assert (code, len(said.strip().splitlines())) == (1, 1)
    assert str(tmp_path / "study.toml") in said
    assert words in said


def test_a_folder_and_a_file_that_is_not_there_are_no_studies(wardround: Command, tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    assert "is not a regular file" in wardround("check", str(tmp_path / "folder.toml"))[1]
    assert "there is no file" in wardround("check", str(tmp_path / "absent.toml"))[1]


def test_a_terminal_that_has_no_sign_for_a_letter_shows_another(
    wardround: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments import cli
    from experiments.commands.studies import check

    (tmp_path / "study.toml").write_text(TEXT)
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", narrow)
    cli.begin()
    check(str(tmp_path / "study.toml"))
    assert b'title = "S?ule"' in narrow.buffer.getvalue()  # type: ignore[attr-defined]


def test_an_output_that_cannot_be_written_is_said_before_the_work(wardround: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for option in ("--csv", "--json", "--figure"):
        code, said = wardround("metrics", "absent.nii", "absent.nii", option, str(tmp_path / "file" / "out"))
        assert (code, "cannot be written" in said) == (1, True), said
    code, said = wardround("register", "absent.nii", "absent.nii", "--out", str(tmp_path))
    assert (code, "is a folder; name a file in it" in said) == (1, True), said


def test_a_folder_that_is_not_there_yet_can_be_written(tmp_path: Path) -> None:
    demand_writable(None, tmp_path / "new" / "newer" / "table.csv", Path("/dev/stdout"))
    with pytest.raises(FileError, match="is no folder"):
        demand_writable(Path("/dev/null/table.csv").with_name("x") / "y", Path(__file__) / "table.csv")


def test_a_run_in_a_place_that_is_a_file_is_refused_in_one_line(
    tiny: Callable[..., Study], tmp_path: Path, wardround: Command
) -> None:
    (tmp_path / "tiny.toml").write_text(tiny().text)
    (tmp_path / "place").write_text("")
    code, said = wardround("run", str(tmp_path / "tiny.toml"), "--folder", str(tmp_path / "place"))
    assert (code, len(said.strip().splitlines())) == (1, 1), said


def test_a_relative_folder_is_that_of_the_working_directory_or_else_beside_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = parse(
        'title = "A"\nrounds = 1\nsource = { name = "heart", folder = "data" }\nstrategy = "fedavg"\n'
        'task = { name = "classification", network = "logistic" }'
    )
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    file = elsewhere / "study.toml"
    assert with_whole_folder(study, file).source.options["folder"] == str(elsewhere / "data")
    assert with_whole_folder(study).source.options["folder"] == str(tmp_path / "data")
    (tmp_path / "data").mkdir()
    assert with_whole_folder(study, file).source.options["folder"] == str(tmp_path / "data")


def test_a_run_goes_on_from_another_folder_with_the_data_it_began_with(
    tiny: Callable[..., Study], tiny_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WARDROUND_DATA", raising=False)
    monkeypatch.chdir(tiny_images.parent)
    run_study(tiny("rounds=1", f"source.folder='{tiny_images.name}'"), "tiny", tmp_path / "run")
    text = (tmp_path / "run" / "study.toml").read_text()
    assert f'folder = "{tiny_images}"' in text
    (tmp_path / "run" / "study.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("rounds = 1", "rounds = 2").encode())
    monkeypatch.chdir(tmp_path)
    from experiments.commands.runs import resume

    resume(tmp_path / "run")
    assert len((tmp_path / "run" / "rounds.jsonl").read_text().splitlines()) == 2
    with data_root_of(tmp_path / "run", resume=True):
        import os

        assert os.environ["WARDROUND_DATA"] == str(tiny_images.parent / "data")
    assert "WARDROUND_DATA" not in os.environ


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_number_of_a_table_is_cut_however_narrow_the_terminal(width: int) -> None:
    numbers = ["12345678901", "0.123456789", "123.45678901", "1234.5678", "0.98765432", "123456.7891"]
    table = Table("label", "Dice", "HD95 (mm)", "mean surface distance (mm)", "surface Dice", "volume (ml)")
    table.add_row(*numbers)
    console = Console(file=io.StringIO(), width=width)
    print_whole(console, table)
    assert all(number in console.file.getvalue() for number in numbers)  # type: ignore[attr-defined]
    assert console.width == width
