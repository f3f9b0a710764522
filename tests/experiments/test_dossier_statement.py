"""A dossier's statement and what verifies it: every changed byte is found, and hostile dossiers are refused."""

from __future__ import annotations

import io
import json
import zipfile
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import FileError, StudyError
from experiments.audit.dossier import schema
from experiments.audit.dossier.packed import files_of, write_zip
from experiments.audit.dossier.statement import (
    FILE,
    FORMAT,
    WHAT,
    ProgramMarks,
    RunMarks,
    Statement,
    StudyMarks,
    read_statement,
)
from experiments.audit.dossier.verifying import verify

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MODEL = "ab" * 32
FIGURES = {
    "schema": schema.published()["properties"]["schema"]["const"],
    "study": "heart",
    "title": "Heart",
    "run": "run-1",
    "model_sha256": MODEL,
    "seed": 1,
    "seconds": 1.5,
    "thresholds": {},
    "claim": {
        "aggregation": "plain",
        "reveals": "each",
        "readers": "",
        "mechanism": "",
        "unit": "",
        "epsilon": {},
        "delta": 0.0,
        "noise_source": "",
        "opening_hospitals": 0,
        "opened_by": "",
        "paid_for": 0,
        "epsilon_of_one_share": None,
        "opening_if_cheating": 0,
        "binds_coordinator": True,
        "relation": "",
        "beside": None,
        "not_covered": [],
        "trusts": [],
    },
    "trials": [],
    "verdicts": [],
    "not_tried": [],
    "traffic": [],
    "parties": [],
    "command": "wardround audit runs/heart/run-1",
    "openings": [],
    "power": [],
    "plugins": [],
    "dossier": None,
}


def content() -> dict[str, bytes]:
    return {"audit.html": b"<p>May it be signed?</p>", "audit.json": json.dumps(FIGURES).encode()}


def statement(files: dict[str, bytes]) -> Statement:
    return Statement(
        WHAT,
        FORMAT,
        "2026-11-27T04:00:00+00:00",
        {name: sha256(data).hexdigest() for name, data in files.items()},
        RunMarks("run-1", "374d", MODEL, {"study.toml": "cd" * 32}, ""),
        StudyMarks("Heart", "ef" * 32),
        ProgramMarks("01" * 32, "0.1.0", "23" * 32, {"torch": "2.13.0"}),
        {"ada": {"split": "45" * 32, "program": "01" * 32}},
    )


@pytest.fixture
def dossier(tmp_path: Path) -> Path:
    folder, files = tmp_path / "dossier", content()
    files[FILE] = statement(files).closed(KEY, "Ada's officer").text.encode()
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_a_dossier_as_it_was_written_is_whole_and_says_whose_key_signed(dossier: Path) -> None:
    found = verify(dossier)
    assert found.whole, found
    assert found.fingerprint.count(" ") == 7
    assert any("said to be Ada's officer's" in one.sentence for one in found.findings)
    assert verify(dossier, expected=found.fingerprint).whole
    assert not verify(dossier, expected=found.fingerprint.replace(found.fingerprint[0], "x")).whole


@pytest.mark.parametrize("name", ["audit.html", "audit.json", FILE])
def test_whichever_byte_of_whichever_file_is_changed_it_is_found(dossier: Path, name: str) -> None:
    whole = (dossier / name).read_bytes()
    for at in range(0, len(whole), 7 if name != "audit.html" else 1):
        bit = (1, 0x20)[at % 2]
        (dossier / name).write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        assert not verify(dossier).whole, (at, whole[max(0, at - 20) : at + 20])
    for changed in (whole + b"\n", whole[:-1], b"", whole.replace(b" ", b"  ", 1)):
        (dossier / name).write_bytes(changed)
        assert changed == whole or not verify(dossier).whole


def test_a_field_that_is_changed_with_its_digest_no_longer_has_the_signature(dossier: Path) -> None:
    signed = read_statement((dossier / FILE).read_bytes())
    forged = replace(signed, study=StudyMarks("Another", "ef" * 32))
    forged = replace(forged, digest=forged.own_digest)
    (dossier / FILE).write_text(forged.text)
    found = verify(dossier)
    assert any(one.holds is False and "signature" in one.sentence for one in found.findings)
    assert found.fingerprint == ""


def test_whoever_signs_a_forged_dossier_with_another_key_has_another_fingerprint(dossier: Path) -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
    signed = read_statement((dossier / FILE).read_bytes())
    (dossier / FILE).write_text(signed.closed(other, "Ada's officer").text)
    assert verify(dossier).whole
    found = verify(dossier, expected=signed.fingerprint)
    assert any(one.holds is False and "not by the one that was expected" in one.sentence for one in found.findings)


def test_a_dossier_that_nobody_signed_says_so_and_is_no_match_for_an_expected_key(dossier: Path) -> None:
    signed = read_statement((dossier / FILE).read_bytes())
    (dossier / FILE).write_text(signed.closed().text)
    assert verify(dossier).whole
    assert "Nobody signed" in verify(dossier).findings[1].sentence
    assert not verify(dossier, expected="1234").whole


def test_files_that_are_missing_or_came_with_it_are_named(dossier: Path) -> None:
    (dossier / "audit-2.html").write_text("<p>Sign.</p>")
    assert "audit-2.html is not of this dossier." in {one.sentence for one in verify(dossier).findings}
    (dossier / "audit-2.html").unlink()
    (dossier / "audit.html").unlink()
    assert "audit.html is missing." in {one.sentence for one in verify(dossier).findings}


def test_figures_of_another_run_do_not_fit_though_every_hash_does(dossier: Path) -> None:
    files = {**content(), "audit.json": json.dumps({**FIGURES, "run": "run-2"}).encode()}
    files[FILE] = statement(files).closed(KEY).text.encode()
    for name, data in files.items():
        (dossier / name).write_bytes(data)
    assert "audit.json is of another run than the dossier." in {one.sentence for one in verify(dossier).findings}


def test_the_run_is_compared_file_by_file(dossier: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text('{"run": "374d"}')
    (run / "study.toml").write_text("title = 'Heart'")
    said = {one.sentence for one in verify(dossier, run).findings}
    assert "study.toml of the run is not as it was audited." in said
    assert "run.json of the run came after the dossier was made." in said
    (run / "run.json").write_text('{"run": "other"}')
    assert any("is another run" in one.sentence for one in verify(dossier, run).findings)


def test_a_zip_file_of_it_verifies_alike_and_is_the_same_bytes_each_time(dossier: Path, tmp_path: Path) -> None:
    one, two = (write_zip(files_of(dossier), tmp_path / name) for name in ("one.zip", "two.zip"))
    assert one.read_bytes() == two.read_bytes()
    assert verify(one).whole


def _zip(path: Path, entries: list[tuple[str, bytes]]) -> Path:
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in entries:
            packed.writestr(name, data)
    path.write_bytes(place.getvalue())
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([(FILE, b"1"), (FILE, b"2")], "comes twice"),
        ([("../dossier.json", b"1")], "a folder or a name"),
        ([(f"{k}.txt", b"") for k in range(40)], "at most 32"),
        ([("audit.html", b"\0" * ((1 << 26) + 1))], "larger than any file"),
        ([("audit.html", b"1")], "holds no dossier.json"),
    ],
)
def test_a_hostile_zip_file_is_refused_with_the_reason(
    tmp_path: Path, entries: list[tuple[str, bytes]], said: str
) -> None:
    with pytest.raises(FileError, match=said):
        verify(_zip(tmp_path / "dossier.zip", entries))


def test_no_more_is_unpacked_in_all_than_a_dossier_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.audit.dossier.packed.MOST_BYTES", 1 << 20)
    bomb = _zip(tmp_path / "dossier.zip", [(f"{k}.txt", b"\0" * (1 << 18)) for k in range(8)])
    with pytest.raises(FileError, match="in all; no dossier is so large"):
        verify(bomb)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_damaged_zip_file_of_any_method_is_refused(tmp_path: Path, method: int) -> None:
    place, rng = io.BytesIO(), np.random.default_rng(0)
    with zipfile.ZipFile(place, "w", method) as packed:
        packed.writestr(FILE, b"hello" * 300)
    for _ in range(100):
        damaged = bytearray(place.getvalue())
        for at in rng.integers(0, len(damaged), 3):
            damaged[at] = rng.integers(256)
        (tmp_path / "dossier.zip").write_bytes(damaged)
        with suppress(FileError):
            assert not verify(tmp_path / "dossier.zip").whole


def test_what_a_signer_writes_makes_no_line_of_its_own(dossier: Path) -> None:
    signed = read_statement((dossier / FILE).read_bytes())
    (dossier / FILE).write_text(signed.closed(KEY, "Ada\n\u2713 It is signed by the key 1111\x1b[2J").text)
    for one in verify(dossier).findings:
        assert "\n" not in one.sentence and "\x1b" not in one.sentence


def test_half_a_character_is_not_as_it_was_written(dossier: Path) -> None:
    whole = (dossier / FILE).read_bytes()
    (dossier / FILE).write_bytes(whole.replace(b"Ada's", b"\\ud800"))
    assert "not byte for byte" in verify(dossier).findings[0].sentence


def test_an_empty_word_for_the_expected_key_is_no_match(dossier: Path) -> None:
    assert not verify(dossier, expected="").whole


def test_a_dossier_without_the_page_that_is_read_is_none(dossier: Path) -> None:
    files = {"audit.json": content()["audit.json"]}
    (dossier / FILE).write_text(statement(files).closed(KEY).text)
    (dossier / "audit.html").unlink()
    assert any("the page that is read" in one.sentence for one in verify(dossier).findings if one.holds is False)


def test_a_statement_that_names_files_of_no_run_is_an_objection(dossier: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"run": "374d"}')
    signed = statement(content())
    marks = replace(signed.run, files={"../../../etc/passwd": "ab" * 32})
    (dossier / FILE).write_text(replace(signed, run=marks).closed(KEY).text)
    assert any("no file of a run" in one.sentence for one in verify(dossier, tmp_path).findings)


def test_pages_beside_the_run_that_are_not_those_that_were_signed_are_named(dossier: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text('{"run": "374d"}')
    for name, data in content().items():
        (run / name).write_bytes(data)
    assert not any("is not what was signed" in one.sentence for one in verify(dossier, run).findings)
    (run / "audit.html").write_text("<p>Sign.</p>")
    (run / "audit.json").write_text("{}")
    said = {one.sentence.partition(" ")[0]: one for one in verify(dossier, run).findings if "signed:" in one.sentence}
    assert said["audit.html"].holds is None and said["audit.json"].holds is False


def test_links_in_a_folder_are_not_followed(dossier: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (dossier / "audit.html").unlink()
    (dossier / "audit.html").symlink_to(tmp_path / "secret")
    with pytest.raises(FileError, match="not a regular file"):
        verify(dossier)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=60).map(str.encode)))
def test_whatever_stands_in_the_statements_place_never_ends_in_a_traceback(dossier: Path, data: bytes) -> None:
    (dossier / FILE).write_bytes(data)
    assert not verify(dossier).whole


@pytest.mark.parametrize("name", ["files", "data", "run", "program", "format", "key", "signature", "party"])
@pytest.mark.parametrize("value", [None, 7, True, "x", [], [1], {}, {"a": 1}, {"a": {"split": 1, "program": ""}}])
def test_a_field_of_another_kind_is_found(dossier: Path, name: str, value: object) -> None:
    table = json.loads((dossier / FILE).read_bytes())
    table[name] = value
    (dossier / FILE).write_text(json.dumps(table, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    assert not verify(dossier).whole


def test_another_base64_of_the_same_signature_is_found(dossier: Path) -> None:
    signed = read_statement((dossier / FILE).read_bytes())
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = signed.signature[-3]
    twin = signed.signature[:-3] + letters[letters.index(last) ^ 1] + "=="
    (dossier / FILE).write_text(replace(signed, signature=twin).text)
    assert not verify(dossier).whole


def test_a_key_that_is_none_is_no_signature() -> None:
    forged = replace(statement(content()).closed(KEY), key=b64encode(b"short").decode())
    assert forged.signature_fault() is not None


def test_a_statement_of_another_form_is_named_as_such() -> None:
    with pytest.raises(StudyError, match="of a form that this program knows"):
        read_statement(statement(content()).closed().text.replace('"format": 1', '"format": 2').encode())


CHANGES: list[tuple[list[object], object]] = [
    (["schema"], 3),
    (["seed"], 1.5),
    (["seconds"], -1),
    (["model_sha256"], "xyz"),
    (["claim", "reveals"], "some"),
    (["claim", "epsilon"], {"ada": -1}),
    (["verdicts"], [{"site": "ada"}]),
    (["not_tried"], [["one"]]),
    (["power"], [{"question": "a", "attack": "b", "fault": "c", "seen": 1, "of": 1.5}]),
    (["more"], 1),
    (["dossier"], {}),
    (["dossier"], 5),
    (["trials"], {}),
    (["seed"], True),
]


@pytest.mark.parametrize(("path", "value"), CHANGES, ids=str)
def test_our_own_reading_of_the_schema_finds_what_the_library_finds(path: list[str], value: object) -> None:
    figures = json.loads(json.dumps(FIGURES))
    place = figures
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert schema.fault_of(figures) is not None
    assert list(jsonschema.Draft202012Validator(schema.published()).iter_errors(figures))


def test_the_schema_uses_no_word_that_our_own_reading_does_not_know() -> None:
    def words(node: object) -> set[str]:
        if not isinstance(node, dict):
            return set()
        found = set(node)
        for key, inner in node.items():
            if key in ("properties", "$defs"):
                found |= {word for one in inner.values() for word in words(one)}
            elif key in ("items", "additionalProperties", "propertyNames"):
                found |= words(inner)
            elif key in ("oneOf", "prefixItems"):
                found |= {word for one in inner for word in words(one)}
        return found

    assert words(dict(schema.published())) <= schema.WORDS
    assert schema.fault_of(FIGURES) is None
    jsonschema.validate(FIGURES, dict(schema.published()), jsonschema.Draft202012Validator)
