"""A hospital's log: what was changed is found, what a crash tore is said, and what is not logged is not answered."""

import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from client import _log_files, audit_log
from client.audit_log import lines, note, verify
from client.log_signature import fault_of, signed_head
from common.errors import HospitalError
from common.sums import identity


def written(folder, count=5):
    for number in range(1, count + 1):
        note(folder, "answered", round=number, study="ab" * 32)
    return (folder / "log.jsonl").read_bytes().splitlines(keepends=True)


def put(folder, kept):
    (folder / "log.jsonl").write_bytes(b"".join(kept))


def sealed_anew(line, **changes):
    """As somebody would write it who knows how a line is made."""
    table = {**json.loads(line), **changes}
    del table["hash"]
    own = sha256(json.dumps(table, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return json.dumps({**table, "hash": own}, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_a_line_is_chained_by_hand(tmp_path):
    """SHA-256 of the line's canonical JSON without its hash, and of 64 zeros before the first."""
    first, second, *_ = map(json.loads, written(tmp_path, 2))
    assert (first["number"], first["before"], first["round"]) == (1, "0" * 64, 1)
    own = first.pop("hash")
    assert own == sha256(json.dumps(first, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    assert second["before"] == own


def test_a_whole_log_has_no_fault_and_its_seal_names_its_last_line(tmp_path):
    last = json.loads(written(tmp_path)[-1])
    found = verify(tmp_path)
    assert (found.fault, found.unsealed, found.torn) == (None, 0, 0)
    assert (found.head.count, found.head.last) == (5, last["hash"])
    assert json.loads((tmp_path / "log.seal.json").read_text()) == {"count": 5, "last": last["hash"]}
    assert [line.facts["round"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5]


def test_an_absent_log_is_empty(tmp_path):
    assert verify(tmp_path).head.count == 0 and verify(tmp_path).fault is None
    note(None, "answered")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda kept: [*kept[:2], kept[2].replace(b'"round":3', b'"round":9'), *kept[3:]], 3),
        (lambda kept: [*kept[:2], kept[2].replace(b'"round":3', b'"round": 3'), *kept[3:]], 3),
        (lambda kept: [*kept[:2], b"\xff\x00\n", *kept[3:]], 3),
        (lambda kept: kept[1:], 1),
        (lambda kept: [*kept[:2], *kept[3:]], 3),
        (lambda kept: [kept[0], kept[2], kept[1], *kept[3:]], 2),
        (lambda kept: [*kept[:3], kept[1], *kept[3:]], 4),
        (lambda kept: [*kept[:3], b"\n", *kept[3:]], 4),
        (lambda kept: [*kept[:2], sealed_anew(kept[2], round=9), *kept[3:]], 4),
        (lambda kept: [*kept[:4], sealed_anew(kept[4], round=9)], 5),
        (lambda kept: kept[:4], 5),
        (lambda kept: [], 5),
    ],
    ids=[
        "changed",
        "a space more",
        "garbage",
        "first removed",
        "removed",
        "moved",
        "put in again",
        "an empty line",
        "written anew",
        "the last written anew",
        "cut off",
        "emptied",
    ],
)
def test_the_first_line_that_is_not_as_it_was_written_is_named(tmp_path, change, line):
    put(tmp_path, change(written(tmp_path)))
    assert f"{line} " in (verify(tmp_path).fault or "")


def test_nothing_is_added_to_a_log_whose_end_was_changed(tmp_path):
    kept = written(tmp_path)
    for end in (kept[:4], [*kept[:4], sealed_anew(kept[4], round=9)], []):
        put(tmp_path, end)
        with pytest.raises(HospitalError, match="changed or cut off"):
            note(tmp_path, "answered")
        assert (tmp_path / "log.jsonl").read_bytes() == b"".join(end)


def test_a_lost_seal_is_noticed(tmp_path):
    written(tmp_path)
    (tmp_path / "log.seal.json").unlink()
    assert "older copy" in (verify(tmp_path).fault or "")


@pytest.mark.parametrize("left", [1, 40, -1])
def test_a_torn_line_is_kept_aside_and_said_and_the_chain_goes_on(tmp_path, left):
    """-1: all of it but the line feed."""
    kept = written(tmp_path)
    torn = kept[4].replace(b'"number":5', b'"number":6')[:left]
    put(tmp_path, [*kept, torn])
    assert verify(tmp_path).torn == len(torn) and verify(tmp_path).fault is None
    note(tmp_path, "answered", round=6)
    events = [(line.number, line.facts["event"]) for line in lines(tmp_path)]
    assert events[5:] == [(6, "torn"), (7, "answered")]
    assert verify(tmp_path).fault is None
    [aside] = tmp_path.glob("log.torn-*")
    assert aside.read_bytes() == torn


def test_a_line_that_a_crash_left_unsealed_is_kept(tmp_path):
    written(tmp_path, 4)
    before = (tmp_path / "log.seal.json").read_bytes()
    note(tmp_path, "answered", round=5)
    (tmp_path / "log.seal.json").write_bytes(before)
    assert (verify(tmp_path).unsealed, verify(tmp_path).fault) == (1, None)
    note(tmp_path, "answered", round=6)
    assert [line.facts["round"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert (verify(tmp_path).unsealed, verify(tmp_path).fault) == (0, None)


def test_a_full_disk_raises_and_the_next_line_follows_the_last_whole_one(tmp_path, monkeypatch):
    written(tmp_path, 2)
    real = _log_files.os.write

    def full(file, data):
        if len(data) > 20:
            return real(file, data[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_log_files.os, "write", full)
        with pytest.raises(HospitalError, match="No space left"):
            note(tmp_path, "answered", round=3)
    assert verify(tmp_path).torn == 0
    note(tmp_path, "answered", round=4)
    assert [line.facts["round"] for line in lines(tmp_path)] == [1, 2, 4]


def test_a_large_log_is_set_aside_and_its_chain_carried_over(tmp_path, monkeypatch):
    monkeypatch.setattr(_log_files, "LARGEST_BYTES", 500)
    for number in range(1, 12):
        note(tmp_path, "answered", round=number)
    asides = sorted(path.name for path in tmp_path.glob("log.0*"))
    assert len(asides) > 2 and verify(tmp_path).fault is None
    assert [line.facts["round"] for line in lines(tmp_path)] == list(range(1, 12))
    (tmp_path / "log.jsonl").write_bytes((tmp_path / "log.jsonl").read_bytes() + b'{"to')
    note(tmp_path, "answered", round=12)
    assert [line.facts["event"] for line in lines(tmp_path)][11:] == ["torn", "answered"]
    (tmp_path / asides[1]).unlink()
    assert "is not in its place" in (verify(tmp_path).fault or "")


def test_lines_of_several_threads_follow_each_other(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: note(tmp_path, "answered", round=number), range(40)))
    assert verify(tmp_path).fault is None
    assert sorted(line.facts["round"] for line in lines(tmp_path)) == list(range(40))


def test_a_hostile_word_stays_in_its_line(tmp_path):
    note(tmp_path, "answered", leg='x\n{"number":2}\x1b[2J\u2028', names=["a" * 500, "é"])
    text = (tmp_path / "log.jsonl").read_bytes()
    assert text.count(b"\n") == 1 and b"\x1b" not in text and verify(tmp_path).fault is None
    assert next(lines(tmp_path)).facts["names"] == ["a" * 200 + "...", "é"]
    with pytest.raises(ValueError, match="number"):
        note(tmp_path, "answered", number=7)


def test_the_log_is_for_its_owner_alone(tmp_path):
    written(tmp_path, 1)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    assert audit_log.FILE == "log.jsonl"


def test_a_hash_that_was_written_down_says_whether_its_line_is_still_there(tmp_path):
    kept = [json.loads(line)["hash"] for line in written(tmp_path)]
    assert verify(tmp_path, kept[2]).until == 3
    assert verify(tmp_path, kept[4][:16]).until == 5
    other = tmp_path / "anew"
    written(other)
    assert verify(other, kept[2]).until is None and verify(other).fault is None


def test_a_signed_head_is_evidence_of_its_line_and_of_no_other_log(tmp_path):
    written(tmp_path)
    identity.create(tmp_path)
    statement = signed_head(tmp_path)
    note(tmp_path, "answered", round=6)
    assert fault_of(statement, tmp_path) is None
    assert "damaged" in (fault_of({**statement, "count": 4}, tmp_path) or "")
    other = tmp_path / "anew"
    written(other)
    assert "not the one that was signed" in (fault_of(statement, other) or "")
    put(tmp_path, [])
    with pytest.raises(HospitalError, match="not signed"):
        signed_head(tmp_path)
