"""The report of more hospitals than have room for a row each: spreads, ends, and a search by name."""

from __future__ import annotations

import csv
import html as markup
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from server.report import write_report
from server.reporting.by_hospital import MANY, ByHospital
from server.reporting.charts.histogram import histogram
from server.reporting.charts.scale import Scale
from server.reporting.page import policy
from server.reporting.records import Drop, Round
from server.reporting.sections import finder
from server.reporting.sections.finder import data_of
from server.reporting.tally import tally_of
from tests.server.sample_run import write_sample

HOSTILE = '</script><img src=x onerror="document.title=1">\u202e|\u2028 é'
SITES = [*(f"hospital-{k:03d}" for k in range(MANY + 20)), HOSTILE]
CLASSES = [f"class {k}" for k in range(10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_sample(
        tmp_path_factory.mktemp("many") / "run", SITES, rounds=3, fraction=0.5, classes=CLASSES, pictures=False
    )
    final = json.loads((run / "final.json").read_text())
    for k, site in enumerate(SITES):
        final["test"]["sites"][site]["dice"] = k / 1000
    (run / "final.json").write_text(json.dumps(final))
    write_report(run)
    return run


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="every-hospital">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def test_a_page_of_many_grows_by_little_a_hospital_and_still_holds_everything_once(folder: Path, page: str) -> None:
    held = data(page)
    tables = {one["key"]: one for one in held["tables"]}
    assert len(json.dumps(held)) / len(SITES) < 300 and len(page) < 300_000
    assert set(tables) == {"result", "rounds", "holdings", "bytes", "time", "scores"}
    wanted = [f"{k / 1000:.3f}" for k in range(len(SITES))]
    assert tables["result"]["columns"][1] == "|".join(wanted)
    holdings = json.loads((folder / "roster.json").read_text())["sites"]
    assert tables["holdings"]["columns"][0] == "|".join(str(one["cases"]["train"]) for one in holdings)


def test_both_ends_of_the_main_score_are_on_the_page_and_nobody_between(page: str) -> None:
    rows = page.split('data-every="result"')[1].split("</table>", maxsplit=1)[0]
    shown = re.findall(r'href="#hospital=hospital-(\d+)"', rows)
    assert [int(one) for one in shown] == [*range(MANY + 19, MANY + 10, -1), *range(9, -1, -1)]
    assert (
        f"#hospital={quote(HOSTILE.replace(chr(0x202E), chr(0xFFFD)).replace(chr(0x2028), chr(0xFFFD)), safe='')}"
        in rows
    )


def test_a_name_out_of_the_wire_ends_no_script_and_hides_nothing(page: str) -> None:
    assert "<img src=x" not in page and "\u202e" not in page
    assert data(page)["names"][-1].startswith("</script><img src=x onerror=")


def test_the_page_allows_its_own_scripts_and_the_pages_that_serve_it_do_too(page: str) -> None:
    said = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert said is not None and markup.unescape(said[1]) == policy()
    assert policy().count("'sha256-") == 4 and policy(searched=False).count("'sha256-") == 2
    assert len(re.findall(r"<script>", page)) == len(re.findall(r"<style>", page)) == 2


@pytest.mark.parametrize("cells", [["1", "2", "3"], ["1", "1", "1"], ["a|b", "", "c"], ["", "", ""]])
def test_a_column_is_read_back_as_it_was_whatever_it_holds(cells: list[str]) -> None:
    sites = ["a", "b", "c"]
    text, left_out = data_of(
        sites, [ByHospital("k", "K", ["one"], {s: [c] for s, c in zip(sites, cells, strict=True)})]
    )
    column = json.loads(text)["tables"][0]["columns"][0]
    read = column if isinstance(column, list) else column.split("|")
    assert (read * 3 if len(read) == 1 else read, left_out) == (cells, 0)


def test_columns_that_are_too_long_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "MOST_CHARACTERS", 40)
    tables = [ByHospital("k", "K", ["short", "long", "last"], {"a": ["1", "x" * 50, "2"], "b": ["2", "y" * 50, "1"]})]
    text, left_out = data_of(["a", "b"], tables)
    assert (json.loads(text)["tables"][0]["head"], left_out) == (["short", "last"], 1)


def test_columns_of_a_histogram_stand_for_the_values_between_their_ends() -> None:
    drawn = histogram([0.0, 0.1, 0.9, 1.0, 1.0], Scale(0, 1, 0, 100), "x", lambda low, high: f"{low:g}-{high:g}", 4)
    assert re.findall(r"<title>(.*?)</title>", drawn) == ["0-0.25: 2 hospitals", "0.75-1: 3 hospitals"]
    assert re.findall(r'y="([\d.]+)%" height="([\d.]+)%"', drawn) == [("33.33", "66.67"), ("0.00", "100.00")]
    assert 'x1="60.00%"' in drawn


def test_rounds_are_counted_by_hospital_as_one_would_by_hand() -> None:
    lost, unscored = Drop("B", "round", "late"), Drop("A", "evaluate", "no scores")
    nothing: dict[str, Any] = {"weights": {}, "training": {}, "evaluation": None, "seconds": {}, "site_seconds": {}}
    rounds = [
        Round(1, ("A", "B", "B"), ("A",), (lost,), **nothing, sent=0, received=0),
        Round(2, ("A",), ("A",), (unscored, Drop("C", "evaluate", "late")), **nothing, sent=0, received=0),
    ]
    found = tally_of(rounds)
    assert (dict(found.selected), dict(found.contributed)) == ({"A": 2, "B": 1}, {"A": 2})
    assert {site: [one.number for one in lost] for site, lost in found.lost.items()} == {"B": [1]}
    assert {site: [drop.reason for _, drop in drops] for site, drops in found.unscored.items()} == {
        "A": ["no scores"],
        "C": ["late"],
    }
    assert found.reasons("B") == ("late",) and found.reasons("nobody") == ()


def test_where_only_sums_are_known_the_page_of_many_says_so_and_names_no_score(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run", SITES, rounds=1, fraction=0.02, reveals="sum", pictures=False)
    final = json.loads((run / "final.json").read_text())
    (run / "final.json").write_text(json.dumps({"test": {"sites": {}, "pooled": final["test"]["pooled"]}}))
    text = write_report(run).read_text(encoding="utf-8")
    assert "Scores of single hospitals are not revealed" in text
    assert '<th scope="row">Dice grey matter</th>' in text
    assert "scores" not in {one["key"] for one in data(text)["tables"]}


chromium = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium, which is not installed here")


def dom_of(folder: Path, hash_: str, profile: Path) -> str:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += [f"--user-data-dir={profile}", "--disable-component-update", "--disable-sync", "--dump-dom"]
    address = (folder / "report.html").as_uri() + hash_
    return subprocess.run(["chromium", *flags, address], capture_output=True, check=True, timeout=120).stdout.decode()


@chromium
def test_an_address_with_a_name_shows_that_hospital_and_a_hostile_one_as_text(folder: Path, tmp_path: Path) -> None:
    name = data((folder / "report.html").read_text(encoding="utf-8"))["names"][-1]
    dom = dom_of(folder, f"#hospital={quote(name, safe='')}", tmp_path)
    found = dom.split('id="hospital-found"')[1].split("<noscript>")[0]
    assert "&lt;/script&gt;&lt;img src=x onerror=" in found and "<img" not in found
    assert "<dt>Learned together (federated)</dt><dd>0.220</dd>" in found
    assert "<title>1</title>" not in dom


@chromium
def test_the_csv_file_of_a_table_holds_every_hospital(folder: Path, tmp_path: Path) -> None:
    dom = dom_of(folder, "#files", tmp_path)
    block = dom.split('data-every="result"')[1]
    link = re.search(r'href="(data:text/csv[^"]+)"', block)
    assert link is not None
    text = unquote(markup.unescape(link[1]).split(",", 1)[1]).removeprefix("\ufeff")
    rows = list(csv.reader(io.StringIO(text)))
    assert [row[0] for row in rows[1:-1]] == SITES[:-1] and len(rows) == len(SITES) + 1
    assert [row[2] for row in rows[1:]] == [f"{k / 1000:.3f}" for k in range(len(SITES))]
