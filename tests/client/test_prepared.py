import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client import prepared
from client._prepared_files import read_prepared
from client.source import gathered
from common.data.cases import Cases, Quarantined
from common.errors import SourceError
from common.study.options import Entry


@dataclass
class Folder:
    """A file a person: rows of numbers, as many as it says. Counts what it reads."""

    folder: Path
    broken: tuple[str, ...] = ()
    read: list[str] = field(default_factory=list)

    has_sites = False
    pooled_statistics = ()
    persons = "A person is a file."

    def sites(self) -> tuple[str, ...]:
        return ()

    def files(self, site: str | None) -> tuple[Path, ...]:
        return tuple(sorted(self.folder.glob("*.txt")))

    def parts(self, site: str | None, seed: int) -> Iterator[Cases | Quarantined]:
        for path in self.files(site):
            self.read.append(path.stem)
            if path.stem in self.broken:
                yield Quarantined(path.stem, "is broken")
                continue
            size = int(path.read_text())
            image = np.full((1, 1, size, 3), size, np.float32)
            yield Cases.of(
                image,
                np.full((1, size), 7, np.uint8),
                [path.stem],
                ("a", "b"),
                spacing_mm=(1.0, 2.0),
                time=np.ones(1),
            )

    def cases(self, site: str | None, seed: int) -> Cases:
        return gathered(self.parts(site, seed), "none")


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    folder.mkdir()
    for name, size in (("ann", 4), ("bob", 4), ("cem", 6)):
        (folder / f"{name}.txt").write_text(str(size))
    return folder


def opened(source: Folder, own: Path, **options: Any) -> Cases:
    return prepared.cases_of(source, Entry("folder", options), None, 1, own)


def flat(cases: Cases) -> list[Any]:
    columns = {
        name: [np.asarray(value).tolist() for value in column.gather()] for name, column in cases.columns.items()
    }
    return [columns, cases.classes, cases.quarantined]


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(prepared.VARIABLE, raising=False)
    monkeypatch.setattr(prepared, "IN_MEMORY_BYTES", 10)


@pytest.mark.usefixtures("lazy")
def test_cases_from_mapped_files_are_those_in_memory_and_a_second_start_reads_no_original(
    originals: Path, tmp_path: Path
) -> None:
    source = Folder(originals, broken=("bob",))
    first = opened(source, tmp_path / "own")
    assert flat(first) == flat(source.cases(None, 1))
    source.read.clear()
    assert flat(opened(source, tmp_path / "own")) == flat(first)
    assert source.read == []
    assert first.shape.inputs == (1, 0, 3) and first.quarantined == (Quarantined("bob", "is broken"),)


@pytest.mark.usefixtures("lazy")
@pytest.mark.parametrize("change", ["size", "time", "name", "added", "removed", "options", "left out"])
def test_whatever_changes_prepares_anew_and_leaves_no_old_copy(change: str, originals: Path, tmp_path: Path) -> None:
    source, own = Folder(originals), tmp_path / "own"
    opened(source, own)
    before = set((own / "prepared").iterdir())
    source.read.clear()
    ann = originals / "ann.txt"
    if change == "size":
        ann.write_text("10")
    elif change == "time":
        os.utime(ann, ns=(1, 1))
    elif change == "name":
        ann.rename(originals / "dan.txt")
    elif change == "added":
        (originals / "dan.txt").write_text("5")
    elif change == "removed":
        ann.unlink()
    if change == "options":
        opened(source, own, spacing_mm=2)
    elif change == "left out":
        cases = prepared.cases_of(source, Entry("folder", {}), None, 1, own, withdrawn=frozenset({"ann"}))
        assert set(cases.patients) == {"bob", "cem"}
    else:
        assert flat(opened(source, own)) == flat(source.cases(None, 1))
    assert source.read
    if change != "options":
        assert not before & set((own / "prepared").iterdir())


def test_little_data_stays_in_memory_unless_a_folder_is_named(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(prepared.VARIABLE, raising=False)
    opened(Folder(originals), tmp_path / "own")
    assert not (tmp_path / "own").exists()
    monkeypatch.setenv(prepared.VARIABLE, str(tmp_path / "named"))
    opened(Folder(originals), tmp_path / "own")
    assert list((tmp_path / "named").iterdir()) and not (tmp_path / "own").exists()
    monkeypatch.setenv(prepared.VARIABLE, "off")
    monkeypatch.setattr(prepared, "IN_MEMORY_BYTES", 1)
    opened(Folder(originals), tmp_path / "own")
    assert not (tmp_path / "own").exists()


@pytest.mark.usefixtures("lazy")
def test_copies_of_patients_are_their_owners_alone(originals: Path, tmp_path: Path) -> None:
    opened(Folder(originals), tmp_path / "own")
    folder = tmp_path / "own" / "prepared"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    prepared.forget(tmp_path / "own")
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("lazy")
@pytest.mark.parametrize("damage", ["short", "long", "link", "dtype", "index"])
def test_damaged_copies_are_refused_by_name(damage: str, originals: Path, tmp_path: Path) -> None:
    source, own = Folder(originals), tmp_path / "own"
    opened(source, own)
    (index,) = (own / "prepared").glob("*.json")
    (values,) = (own / "prepared").glob("*.inputs.bin")
    if damage == "short":
        values.write_bytes(values.read_bytes()[:-1])
    elif damage == "long":
        values.write_bytes(values.read_bytes() + b"x")
    elif damage == "link":
        values.rename(tmp_path / "elsewhere")
        values.symlink_to(tmp_path / "elsewhere")
    elif damage == "dtype":
        index.write_text(index.read_text().replace("<f4", "|O"))
    else:
        index.write_text('{"columns": {"inputs": 3}}')
    with pytest.raises(SourceError, match=str(own / "prepared")):
        opened(source, own)


@pytest.mark.usefixtures("lazy")
def test_where_nothing_is_usable_the_reasons_are_in_the_error_and_nothing_is_left(
    originals: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="ann: is broken"):
        opened(Folder(originals, broken=("ann", "bob", "cem")), tmp_path / "own")


@pytest.mark.usefixtures("lazy")
def test_a_part_is_let_go_before_the_next_is_read(originals: Path, tmp_path: Path) -> None:
    for number in range(30):
        (originals / f"x{number:02d}.txt").write_text("20000")
    opened(Folder(originals), tmp_path / "own")
    (index,) = (tmp_path / "own" / "prepared").glob("*.json")
    cases = read_prepared(index.parent, index.stem)
    assert sum(value.nbytes for value in cases.columns["inputs"].gather()) > 7_000_000


@pytest.mark.usefixtures("lazy")
def test_a_place_that_cannot_be_written_is_named_with_the_way_out(originals: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("a file")
    with pytest.raises(SourceError, match=prepared.VARIABLE):
        opened(Folder(originals), own)
