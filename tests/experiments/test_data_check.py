"""`wardround data check` as it is called: on a laptop, in a hospital, what it prints, writes and exits with."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pytest

Wardround = Callable[..., tuple[int, str]]

STUDY = """
title = "Own data"
rounds = 1
strategy = "fedavg"
split = { validation = 0.2, test = 0.3 }
source = { name = "npz", folder = "data", classes = ["well", "ill"], divide_by = 255 }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
"""

PAGE = """
Data check. May this be trained on? | ✓ Yes | Own data | This may be trained on. Nothing was found.
| This holds patients' names. It stays in the hospital: do not send it on, and delete it when it is
read. | 1 | hospital | 20 | persons | 20 | usable cases | 0 | left out | Findings | Hospitals |
Labels | Images | What was found | Nothing. | Who is where | Persons, and the part of the split that
the study would put them in. | Persons | training | validation | test | Ulm | 20 | Hospital | Cases
| Persons | Files or series | Persons, training | Persons, validation | Persons, test | Cases,
training | Cases, validation | Cases, test | Left out | Ulm | 20 | 20 | – | 10 | 4 | 6 | 10 | 4 | 6
| 0 | Labels | How many cases are of each class. | Shares | well | ill | Ulm | Hospital | well | ill
| Ulm | 10 | 10 | Images | As the network would be shown them, after the source's preparation.
Histograms go from 0.01176 to 0.9843, without the outer 1 % of values. | Ulm | Hospital | Shapes |
Different | Spacing in mm | Least | 1 % | Median | 99 % | Largest | Constant | With NaN | Ulm | 1 x
4 x 4 (20) | 1 | 1 x 2.5 | 0 | 0.01176 | 0.5333 | 0.9843 | 1 | 0 |
0 | Types of the columns: inputs float32, targets int64, patients words, spacing_mm float64. | Data
folder: /data. This holds patients' names. It stays in the hospital: do not send it on, and delete
it when it is read.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def write(path: Path, seed: int = 0, count: int = 20, **changed: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    persons = np.array([f"{path.stem}-{index}" for index in range(count)])
    arrays = {"x": rng.integers(0, 256, (count, 4, 4)), "y": np.arange(count) % 2, "person": persons}
    np.savez(path, **arrays | changed)
    return path


def text_of(page: str) -> str:
    """What a reader sees, a line for every piece of it."""
    body = re.sub(r"<(style|script|title)[ >].*?</\1>", "", page, flags=re.DOTALL)
    return "\n".join(line for line in map(str.strip, unescape(re.sub(r"<[^>]*>", "\n", body)).splitlines()) if line)


def test_a_clean_folder_is_said_to_be_so(folder: Path, wardround: Wardround) -> None:
    for index, site in enumerate(("Bonn", "Köln")):
        write(folder / "data" / f"{site}.npz", index)
    code, said = wardround("data", "check", str(folder / "study.toml"))
    assert code == 0, said
    assert "This may be trained on. Nothing was found." in said
    assert said.strip().startswith("This holds patients' names. It stays in the hospital")
    rows = [line.split()[:7] for line in said.splitlines() if line.startswith(("Bonn ", "Köln "))]
    assert rows == [[site, "20", "20", "10", "4", "6", "0"] for site in ("Bonn", "Köln")]
    assert "Köln: cases of well 10, ill 10" in said
    assert all(len(line) <= 80 for line in said.splitlines())


def planted(folder: Path) -> None:
    """A person under two names, one image constant, four cases of NaN, the last image of Bonn that of Köln."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (20, 4, 4)).astype(np.float32)
    persons = np.array([f"b{index}x" for index in range(18)] + ["Müller", "muller"])
    images[3] = 9
    images[4:8, 0, 0] = np.nan
    write(folder / "data" / "Bonn.npz", x=images, person=persons)
    other = rng.integers(0, 256, (20, 4, 4)).astype(np.float32)
    other[:] = np.where(np.arange(20)[:, None, None] == 11, images[19], other)
    write(folder / "data" / "Köln.npz", x=other, person=np.array([f"k{index}x" for index in range(20)]))


def test_faults_are_named_and_end_in_1_where_a_run_would_be_wrong(folder: Path, wardround: Wardround) -> None:
    planted(folder)
    code, said = wardround("data", "check", str(folder / "study.toml"), "--json", str(folder / "out.json"))
    table = json.loads((folder / "out.json").read_text())
    grades = {one["kind"]: (one["grade"], one["hospital"], one["names"]) for one in table["findings"]}
    assert grades["constant"] == ("warning", "Bonn", ["b3x"])
    assert grades["persons alike"][2] == ["“muller” and “müller”"]
    assert grades["unusable"][:2] == ("warning", "Bonn") and len(grades["unusable"][2]) == 4
    twins = next(one for one in table["findings"] if one["kind"].startswith("duplicates"))
    assert twins["names"][0].startswith("muller [Bonn, ") and "k11x [Köln, " in twins["names"][0]
    assert code == (0 if table["may_train"] else 1) and ("Do not train" in said) == (code == 1)
    assert table["hospitals"]["Bonn"]["cases"] == 16 and len(table["hospitals"]["Bonn"]["unusable"]) == 4
    assert table["hospitals"]["Bonn"]["constant_images"] == 1


def test_an_error_ends_in_1(folder: Path, wardround: Wardround) -> None:
    write(folder / "data" / "Bonn.npz")
    write(folder / "data" / "Köln.npz", x=np.full((20, 4, 4), np.nan))
    code, said = wardround("data", "check", str(folder / "study.toml"))
    assert code == 1 and "error  Köln: " in said and "Do not train on this yet: 1 error" in said


def test_the_page_answers_first_and_may_be_read_by_its_owner_alone(folder: Path, wardround: Wardround) -> None:
    planted(folder)
    files = folder / "page.html", folder / "out.json"
    wardround("data", "check", str(folder / "study.toml"), "--html", str(files[0]), "--json", str(files[1]))
    page = files[0].read_text()
    lines = text_of(page).splitlines()
    assert lines[0] == "Data check. May this be trained on?"
    assert lines[1] in ("! Look first", "✕ Not yet") and lines[2] == "Own data"
    assert lines[4].startswith("This holds patients' names. It stays in the hospital")
    assert lines[5:13] == ["2", "hospitals", "36", "persons", "36", "usable cases", "4", "left out"]
    assert "“muller” and “müller”" in lines and "npz" not in lines
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]
    assert "default-src 'none'" in unescape(page) and not re.search(r"(src|href)=\"?(http|//)", page)


def test_the_page_of_a_clean_folder_word_for_word(folder: Path, wardround: Wardround) -> None:
    write(folder / "data" / "Ulm.npz", spacing=np.array([1.0, 2.5]))
    page = folder / "page.html"
    assert wardround("data", "check", str(folder / "study.toml"), "--html", str(page))[0] == 0
    drawn = re.sub(r"<svg.*?</svg>", "", page.read_text(), flags=re.DOTALL)
    assert " | ".join(text_of(drawn).splitlines()).replace(str(folder), "").split() == PAGE.split()


def test_names_beyond_the_first_are_on_the_page_and_in_the_file(folder: Path, wardround: Wardround) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4)).astype(np.float32)
    images[:18] = 5
    write(folder / "data" / "Bonn.npz", count=40, x=images)
    code, said = wardround("data", "check", str(folder / "study.toml"))
    assert "and 12 more: --html PAGE lists all of them" in said and "bonn-17" not in said
    page, out = folder / "page.html", folder / "out.json"
    said = wardround("data", "check", str(folder / "study.toml"), "--html", str(page), "--json", str(out))[1]
    assert f"and 12 more: see {page}" in "".join(said.splitlines()) or "and 12 more: see" in said
    assert "bonn-17" in page.read_text() and "bonn-17" in out.read_text() and code == 0


def test_in_a_hospital_its_own_folder_is_read_whole(folder: Path, wardround: Wardround) -> None:
    own = write(folder / "own" / "cases.npz").parent
    divided = 'source.file="cases.npz"', "partition.name=iid", "partition.hospitals=4"
    asked = [argument for one in divided for argument in ("--set", one)]
    code, said = wardround("data", "check", str(folder / "study.toml"), "--folder", str(own), *asked)
    assert code == 0, said
    assert re.search(r"^this hospital +20 +20 ", said, re.MULTILINE)
    named = wardround("data", "check", str(folder / "study.toml"), "--folder", str(own), "--site", "Ulm", *asked)[1]
    assert re.search(r"^Ulm +20 +20 ", named, re.MULTILINE)
    (folder / "data" / "cases.npz").write_bytes((own / "cases.npz").read_bytes())
    pool = wardround("data", "check", str(folder / "study.toml"), *asked, "--site", "hospital-2")[1]
    assert re.search(r"^hospital-2 +5 +5 ", pool, re.MULTILINE)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--folder", "absent"), "there is no folder absent"),
        (("--site", "Bon"), "did you mean 'Bonn'"),
        (("--html", "data"), "is a folder"),
        (("--set", "source.folder=absent"), "no folder"),
        (("--set", "source.file=Bonn.npz"), "add [partition]"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    asked: tuple[str, str], said: str, folder: Path, wardround: Wardround, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "data" / "Bonn.npz")
    monkeypatch.chdir(folder)
    code, heard = wardround("data", "check", "study.toml", *asked)
    assert code == 1 and said in " ".join(heard.split()), heard


def test_a_dataset_of_ones_own_code_is_read_too(folder: Path, wardround: Wardround) -> None:
    (folder / "mine.py").write_text(
        "class Mine:\n    persons = [f'p{k}x' for k in range(12)]\n    def __len__(self): return 12\n"
        "    def __getitem__(self, k):\n        if k == 3: raise ValueError('torn')\n"
        "        return [float(k * k % 7), float(k)], k % 2\n"
    )
    text = STUDY.replace('"npz", folder = "data"', '"torch", dataset = "mine.py:Mine", pooled = false')
    text = text.replace(", divide_by = 255", "")
    (folder / "study.toml").write_text(text + 'partition = { name = "iid", hospitals = 1 }\n')
    code, said = wardround("data", "check", str(folder / "study.toml"))
    assert code == 0 and "item 3: " in said and "torn" in said, said
