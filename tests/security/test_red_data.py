"""Hospitals' own data, of any source: who moves whom, what is told of a change, and files that somebody else made."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from flwr.app import Context, RecordDict
from PIL import Image
from typer.testing import CliRunner

from client import app as client_app
from client import prepared
from client.hospital import close_all, open_hospital
from client.protocol_context import open_local
from client.sources._image_pixels import read_pages
from client.sources._table_files import read_rows
from client.sources.images import Images
from client.sources.nifti import Nifti
from client.sources.table import Table
from client.splitting import split
from common.data.cases import Cases
from common.errors import FileError, SourceError, StudyError, WireError
from common.study.federation import RosterEntry
from common.study.options import Entry
from common.study.split_settings import Split
from common.study.study import Study, parse
from common.sums import identity
from common.sums.aggregation import Local
from common.sums.aggregations._opened_rounds import open_once
from common.sums.exchange import Payload
from common.wire.train_requests import ACCEPTS_CHANGED_DATA
from experiments.cli import cli

STUDY = """
title = "Own data"
rounds = 2
strategy = "fedavg"
aggregation = "plain"
engine = "inline"
task = { name = "classification", network = "logistic" }
training = { batch_size = 4 }
"""
TABLE = """[source]
name = "table"
file = "t.csv"
site = "site"
person = "person"
label = "y"
classes = ["0", "1"]
decimal = "."
features = ["age"]
"""
PRIVATE = 'privacy={name="dpsgd",epsilon=1.0,delta=1e-3}'
SUMS = """
title = "Sums"
rounds = 2
strategy = "fedavg"
aggregation = "secagg"
engine = "inline"
source = { name = "phantom", hospitals = 6, patients = [4], slices_per_patient = 1, size = 16 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 1 } }
federation = { least_in_sum = 3 }
"""


def picture(path: Path, most: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(path.name)).integers(0, most + 1, (8, 8), dtype=np.uint8)
    Image.fromarray(values).save(path)


def seen(cases: Cases) -> Mapping[str, bytes]:
    """What a network sees of every person."""
    rows = zip(cases.patients.tolist(), cases.inputs, cases.targets, strict=True)
    return {person: inputs.tobytes() + targets.tobytes() for person, inputs, targets in rows}


@pytest.fixture
def in_two_studies(tmp_path: Path) -> Callable[[str], client_app.Hospital]:
    """A real hospital with its keys, in a study that reads its folder by a source."""
    hospital = open_hospital(parse(SUMS).json, 0)
    keys = {site: identity.create(tmp_path / site) for site in hospital.roster}
    identity.introduce(tmp_path / hospital.site, keys)
    roster = tuple(RosterEntry(site, sha256(key).hexdigest()) for site, key in keys.items())
    study = replace(hospital.study, federation=replace(hospital.study.federation, roster=roster))

    def of(source: str) -> client_app.Hospital:
        given = replace(hospital, study=study)
        given.study.__dict__["source"] = Entry(source, {})
        return given

    return of


@pytest.mark.parametrize("other", ["bids", "my_hospital.sources", "my_hospital.sources:Ward", "ward"])
def test_one_model_is_opened_with_one_set_whatever_source_or_plug_in_reads_the_folder(
    in_two_studies: Callable[[str], client_app.Hospital], tmp_path: Path, other: str
) -> None:
    """By "nifti" with everybody, by "bids", or a plug-in's other name, without one: the difference was its update."""
    hospital = in_two_studies("nifti")
    context = Context(1, 1, {"folder": str(tmp_path / hospital.site), "data-folder": "/data"}, RecordDict(), {})
    first = open_local(hospital, context, 1, "", {})
    second = open_local(in_two_studies(other), context, 1, "", {})
    assert first.data == second.data
    open_once(first, first.data.encode().hex().encode(), hospital.roster)
    with pytest.raises(WireError, match="the sum of other hospitals was opened before"):
        open_once(second, second.data.encode().hex().encode(), hospital.roster[:-1])


def test_one_model_is_opened_with_one_choice_of_persons_whatever_study_makes_it(tmp_path: Path) -> None:
    """Two approved studies, one of which calls one row's age a code for "missing": the difference of their sums was
    that one person's gradient, or score. The same study may go on with a hospital's data as they change."""
    a_table(tmp_path)
    text = f"""
title = "T"
rounds = 1
engine = "inline"
strategy = "fedsgd"
task = "classification"
partition = {{ name = "iid", hospitals = 3 }}
split = {{ validation = 0.0, test = 0.0 }}
[source]
name = "table"
folder = "{tmp_path}"
file = "t.csv"
person = "person"
label = "y"
classes = ["0", "1"]
decimal = "."
features = ["age"]
ignore = ["ward"]
"""

    def of_victim(*settings: str) -> Local:
        study = parse(text, settings)
        hospital = open_hospital(study.json, victim)
        place = {"folder": str(tmp_path / hospital.site), "simulated": True, "data-folder": "/data"}
        return open_local(hospital, Context(1, 1, place, RecordDict(), {}), 1, "", {})

    held = [open_hospital(parse(text).json, index).train.patients.tolist() for index in range(3)]
    victim = next(index for index, persons in enumerate(held) if "p3" in persons)
    first, roster = of_victim(), ("a", "b", "c")
    open_once(first, b"what", roster)
    for same in (first, of_victim("title=Another"), of_victim("rounds=5")):
        open_once(same, b"what", roster)
    open_once(replace(first, selection=(first.selection[0], "data that changed")), b"what", roster)
    with pytest.raises(WireError, match="takes other persons here"):
        open_once(of_victim("source.missing_in.age=['23']"), b"what", roster)
    open_once(of_victim("source.missing_in.age=['23']"), b"another model", roster)


def a_table(folder: Path, *lines: bytes) -> Table:
    rows = [f"p{row},{20 + row},{'Müller' if row % 2 else 'x'},{row % 2}".encode() for row in range(6)]
    (folder / "t.csv").write_bytes(b"\n".join([b"person,age,ward,y", *rows, *lines]))
    levels = {"ward": ("x", "Müller")}
    given = {"person": "person", "label": "y", "classes": ("0", "1"), "decimal": ".", "categorical": levels}
    return Table(folder=str(folder), file="t.csv", **given)  # type: ignore[arg-type]


def test_in_what_encoding_one_persons_line_is_decides_nothing_of_others(tmp_path: Path) -> None:
    before = seen(a_table(tmp_path).cases(None, 0))
    after = a_table(tmp_path, b"p9,33,M\xfcller,1")
    assert after.pooled_statistics == () and after.cases(None, 0).quarantined == ()
    assert before.items() < seen(after.cases(None, 0)).items()


def test_the_one_person_in_validation_moves_others_and_that_is_refused_under_a_promise(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / "train" / "ab"[number % 2] / f"p{number}.png")
    options = {"images": "{split}/{class}/{person}.png", "classes": ("a", "b"), "size": 8}
    source = Images(folder=str(tmp_path), **options)  # type: ignore[arg-type]
    shares = Split(0.3, 0.3, "independent")
    before = split(source.cases(None, 0), shares, 1)["train"]
    picture(tmp_path / "val" / "a" / "q.png")
    assert set(before.patients) != set(split(source.cases(None, 0), shares, 1)["train"].patients)
    text = STUDY + f'source = {{ name = "images", images = "{options["images"]}", classes = ["a", "b"], size = 8 }}'
    study = ('partition={name="iid",hospitals=2}', f'source.folder="{tmp_path}"')
    parse(text, study)
    with pytest.raises(StudyError, match="which parts the data set prescribes"):
        parse(text, (*study, PRIVATE))


def test_a_person_whose_masks_name_begins_as_anothers_is_said_to_move_that_one(tmp_path: Path) -> None:
    def source(masks: str) -> Images:
        given = {"classes": ("background", "lesion"), "size": 8}
        return Images(folder=str(tmp_path), images="images/{person}.png", masks=masks, **given)  # type: ignore[arg-type]

    for person in ("p1", "p2"):
        picture(tmp_path / "images" / f"{person}.png")
        picture(tmp_path / "masks" / f"{person}_v.png", 1)
    assert len(source("masks/{person}_*.png").cases(None, 0)) == 2
    picture(tmp_path / "images" / "p1_x.png")
    picture(tmp_path / "masks" / "p1_x_v.png", 1)
    assert "p1" not in source("masks/{person}_*.png").cases(None, 0).patients
    assert [one.option for one in source("masks/{person}_*.png").pooled_statistics] == [
        "source.masks with * or ? beside a field"
    ]
    assert source("masks/{person}_v.png").pooled_statistics == ()
    assert "p1" in source("masks/{person}_v.png").cases(None, 0).patients


def test_where_numbers_are_to_be_hidden_a_hospital_does_not_say_that_somebody_came_or_left(tmp_path: Path) -> None:
    """The coordinator asked the same run again after the day on which it knew that somebody was admitted."""
    own = tmp_path / "own"
    open_promise = asked_before_and_after(own / "a", parse(STUDY + TABLE, (f'source.folder="{tmp_path}"',)))
    told = parse(STUDY + TABLE, (f'source.folder="{tmp_path}"', PRIVATE, "federation.expected_patients=20"))
    hidden = asked_before_and_after(own / "b", told)
    assert open_promise[0] != open_promise[1]
    assert hidden[0] == hidden[1] != ""


def asked_before_and_after(own: Path, study: Study) -> tuple[str, str]:
    data = Path(str(study.source.options["folder"]))
    context = Context(1, 1, {"simulated": True, "site": "A", "folder": str(own)}, RecordDict(), {})
    request = Payload(None, {ACCEPTS_CHANGED_DATA: 0}, {"study": study.json, "run": "5" * 32})
    tokens = []
    for persons in (20, 21):
        rows = "".join(f"A,p{row},{row},{row % 2}\n" for row in range(persons))
        (data / "t.csv").write_text(f"site,person,age,y\n{rows}")
        close_all()
        tokens.append(client_app._held_hospital(context, request, "5" * 32, True)[1])
        if study.privacy is not None:
            client_app._held_hospital(context, request, "5" * 32, False)
    return tokens[0], tokens[1]


@pytest.mark.parametrize("pattern", ["*" * 9 + "x.png", "{a}{b}{c}/*.png", "_".join(["{a}", *"********"]), "**/" * 4])
def test_a_pattern_that_would_be_tried_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(StudyError, match=r"at most"):
        Images(folder="x", images=f"{{class}}/{pattern}/*")
    with pytest.raises(StudyError, match=r"at most|must be|may have|field of"):
        Nifti(
            folder="x", images=pattern.replace("{a}", "{site}").replace("{b}", "{person}").replace("{c}", "{session}")
        )


@pytest.mark.parametrize(
    "pattern", ["**/{site}/{class}/{person}_{session}_*_*.png", "{class}/**/*", "{class}_{name}*"]
)
def test_patterns_that_people_write_are_taken(pattern: str) -> None:
    assert Images(folder="x", images=pattern).has_sites == ("{site}" in pattern)


def test_a_table_of_a_kilobyte_takes_no_gigabytes(tmp_path: Path) -> None:
    shared = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2000, np.int32)), pa.array(["a" * 3_000_000]))
    pq.write_table(pa.table({"w": shared}), tmp_path / "words.parquet", compression="zstd")
    many = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000, np.int32)), pa.array(["a" * 300_000]))
    pq.write_table(pa.table({"w": many}), tmp_path / "many.parquet", compression="zstd")
    pq.write_table(pa.table({"w": [[0] * 3_000_000]}), tmp_path / "lists.parquet", compression="zstd")
    for name in ("words.parquet", "many.parquet", "lists.parquet"):
        assert (tmp_path / name).stat().st_size < 5000
        with pytest.raises(SourceError, match=r"unpacks to too much|holds lists"):
            read_rows(tmp_path, name)


def test_a_tiff_of_many_pages_or_channels_takes_no_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.sources._image_pixels.LARGEST_UNPACKED_BYTES", 1 << 22)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        for _ in range(20):
            file.write(np.zeros((600, 600), np.uint8), compression="zlib")
    with tifffile.TiffWriter(tmp_path / "channels.tif") as file:
        file.write(np.zeros((200, 200, 200), np.uint8), compression="zlib", photometric="minisblack")
    for name in ("pages.tif", "channels.tif"):
        assert (tmp_path / name).stat().st_size < 1 << 17
        with pytest.raises(SourceError, match="unpacks to more than"):
            read_pages(tmp_path, name)


@pytest.mark.parametrize("label", ["²", "9" * 5000])
def test_a_label_that_is_no_number_python_reads_is_a_label(tmp_path: Path, label: str) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    (tmp_path / "t.csv").write_text(f"path,label\na.png,{label}\nb.png,7\n")
    assert Images(folder=str(tmp_path), table="t.csv", label="label", size=8).cases(None, 0).classes == ("7", label)


def test_what_a_strangers_file_is_called_is_not_obeyed_by_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "t\x1b[2J\x1b]0;title\x07.csv").write_text("")
    (tmp_path / "study.toml").write_text(STUDY + TABLE.replace('file = "t.csv"\nsite = "site"\n', ""))
    said = CliRunner().invoke(
        cli,
        ["run", str(tmp_path / "study.toml"), "--set", f"source.folder={tmp_path}", "--folder", str(tmp_path / "r")],
    )
    assert said.exit_code == 1 and "control character" in said.output
    assert "\x1b" not in said.output


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_a_cache_that_another_user_prepared_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a cache that several users share: whoever owns the folder exchanges what was prepared, and sees names."""
    place = tmp_path / "wardround" / "prepared"
    place.mkdir(parents=True)
    place.chmod(0o777)
    os.chown(place, 65534, 65534)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(prepared.VARIABLE, raising=False)
    with pytest.raises(FileError, match="belongs to another user"):
        prepared._demand_own(prepared.place_for(None) or tmp_path)
    os.chown(place, 0, 0)
    with pytest.raises(FileError, match="can be written by all"):
        prepared._demand_own(place)
    place.chmod(0o700)
    prepared._demand_own(place)


def test_a_study_does_not_write_on_the_terminal_of_who_approves_it(tmp_path: Path) -> None:
    """Its words could move the cursor up, and write another epsilon over ours; or begin a line of their own."""
    evil = "\\u001b[1A\\u001b[2K\\n- Epsilon is 0.01 \\u202e"
    text = f"{STUDY}{PRIVATE}\n{TABLE}".replace('"Own data"', f'"Own {evil}"').replace(
        'person = "person"', f'person = "p{evil}"'
    )
    (tmp_path / "study.toml").write_text(text)
    (tmp_path / "own").mkdir(mode=0o700)
    for command in (["check"], ["approve"]):
        given = [str(tmp_path / "study.toml"), *([str(tmp_path / "own")] if command == ["approve"] else [])]
        said = CliRunner().invoke(cli, [*command, *given])
        assert said.exit_code == 0, said.output
        assert not {"\x1b", "\u202e"} & set(said.output)
        assert not any(line.startswith("- Epsilon is 0.01") for line in said.output.splitlines())
    listed = (tmp_path / "own" / "approved-studies.txt").read_text()
    assert listed.count("\n") == 1 and listed.strip().isprintable()


def test_what_a_table_holds_is_no_markup_of_the_terminals(tmp_path: Path) -> None:
    rows = "".join(f"A{row % 2} [x],p{row},{row},{row % 2}\n" for row in range(20))
    (tmp_path / "t.csv").write_text(f"site,person,age,y\n{rows}")
    text = f"{STUDY}{TABLE}".replace('"Own data"', '"Own [/red]"')
    (tmp_path / "study.toml").write_text(text)
    said = CliRunner().invoke(
        cli, ["data", "check", str(tmp_path / "study.toml"), "--set", f"source.folder={tmp_path}"]
    )
    assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
    assert "[/red]" in said.output and "A0 [x]" in said.output
