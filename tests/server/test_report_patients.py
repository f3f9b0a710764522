"""The report of what only a simulation knows: single patients, groups of persons, gains; and files to keep."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from server.report import write_report
from server.reporting.folder import read_run
from server.reporting.script import SCRIPT
from server.reporting.summary import summary_of
from tests.server.sample_run import CITIES, write_sample

SITES = CITIES[:3]
LONG = "Universitätsklinikum-Musterstadt-Nord-West"
EVIL = '=HYPERLINK("//evil")<script>alert(1)</script>'
CLASSES = ("background", "fluid", "grey matter", "white matter")


def record(sites: tuple[str, ...] = SITES, **changed: Any) -> dict[str, Any]:
    """A plausible `patients.json`, of 4 patients a hospital."""
    patients = [
        {"site": site, "patient": f"{site}-{k}", "scores": {"dice": 0.5 + 0.1 * k + 0.01 * at, "dice_1": 0.4}}
        for at, site in enumerate(sites)
        for k in range(4)
    ]
    return {
        "split": "test",
        "intervals": {"dice": [0.611, 0.722]},
        "patients": patients,
        "gains": {site: [0.02 * k - 0.02, 0.02 * k - 0.03, 0.02 * k - 0.01, 4] for k, site in enumerate(sites)},
        "cases": {},
        "subgroups": [
            {"column": "sex", "cell": "f", "persons": 30, "scores": {"dice": 0.7}, "intervals": {"dice": [0.6, 0.8]}},
            {"column": "sex", "cell": "m", "persons": 4},
        ],
        "represented": [
            {"column": "sex", "cell": "f", "hospitals": dict.fromkeys(sites, 10)},
            {"column": "sex", "cell": "m", "hospitals": {sites[0]: 2}},
            {"column": "sex", "cell": "", "hospitals": {}},
        ],
        **changed,
    }


def page(folder: Path, found: dict[str, Any] | None, sites: tuple[str, ...] = SITES) -> str:
    write_sample(folder, sites=sites)
    if found is not None:
        (folder / "patients.json").write_text(json.dumps(found), encoding="utf-8")
    return write_report(folder).read_text(encoding="utf-8")


def words(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", " ", text))


def test_a_real_hospitals_patients_are_not_there_and_the_page_says_why(tmp_path: Path) -> None:
    text = words(page(tmp_path / "run", None))
    assert "No single patient's score leaves a hospital" in text
    assert "federation.final_intervals" in text


def test_the_worst_and_best_patients_are_those_of_the_extreme_scores(tmp_path: Path) -> None:
    text = words(page(tmp_path / "run", record()))
    worst, best = (text.split(f"The {rank}")[1][:400] for rank in ("worst", "best"))
    assert [worst.index(f"{site}-0") for site in SITES] == sorted(worst.index(f"{site}-0") for site in SITES)
    assert [best.index(f"{site}-3") for site in SITES] == sorted(
        (best.index(f"{site}-3") for site in SITES), reverse=True
    )


def test_who_gains_and_who_loses_is_said_with_intervals(tmp_path: Path) -> None:
    text = " ".join(words(page(tmp_path / "run", record())).split())
    assert f"{SITES[2]} gains; {SITES[0]} loses; of 1 hospital the interval holds 0" in text


def test_a_cell_that_is_too_small_has_no_score_and_is_named(tmp_path: Path) -> None:
    text = " ".join(words(page(tmp_path / "run", record())).split())
    assert "Too few persons to be told: m." in text
    assert "0.700 (0.600 to 0.800)" in text


def test_the_headline_has_its_interval_in_page_and_summary(tmp_path: Path) -> None:
    assert "95 % interval 0.611 to 0.722" in words(page(tmp_path / "run", record()))
    found = summary_of(read_run(tmp_path / "run"))
    assert found["intervals"]["test"]["dice"] == [0.611, 0.722]


def test_scores_of_classes_bear_the_classes_names_and_the_summary_maps_them(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run", sites=SITES, classes=CLASSES)
    final = json.loads((folder / "final.json").read_text(encoding="utf-8"))
    final["test"]["pooled"]["dice_2"] = 0.5
    (folder / "final.json").write_text(json.dumps(final), encoding="utf-8")
    text = words(write_report(folder).read_text(encoding="utf-8"))
    assert "Dice of grey matter" in text
    assert "dice_2" not in text.lower() and "dice 2" not in text.lower()
    assert summary_of(read_run(folder))["score_names"]["dice_2"] == "Dice of grey matter"


def test_names_of_patients_and_groups_stay_text(tmp_path: Path) -> None:
    found = record()
    found["patients"][0]["patient"] = found["subgroups"][0]["cell"] = found["represented"][0]["cell"] = EVIL
    found["subgroups"][0]["column"] = found["represented"][0]["column"] = EVIL
    assert page(tmp_path / "run", found).count("<script>") == 1


@pytest.mark.parametrize("damage", ["patients", "gains", "cases", "subgroups", "represented", "intervals"])
@pytest.mark.parametrize("content", [3, "x", [1, {}], {"a": 1}, {"kind": "classes", "true": [9], "chances": [[1]]}])
def test_a_damaged_part_costs_no_page(tmp_path: Path, damage: str, content: Any) -> None:
    assert "Does learning together help?" in page(tmp_path / "run", record(**{damage: content}))


def test_answers_of_every_kind_are_drawn(tmp_path: Path) -> None:
    whose = {"site": [SITES[0]] * 18, "patient": [f"p{k}" for k in range(18)]}
    numbers = [float(k) for k in range(1, 19)]
    kinds = {
        "ROC curve": {"kind": "classes", "true": [0, 1] * 9, "chances": [[0.4, 0.6], [0.2, 0.8]] * 9},
        "Predicted against true": {"kind": "numbers", "true": numbers, "answer": numbers[::-1]},
        "Log-rank test": {"kind": "survival", "true": numbers, "event": [1, 0] * 9, "risk": numbers[::-1]},
    }
    for place, (said, cases) in enumerate(kinds.items()):
        assert said in words(page(tmp_path / str(place), record(cases={**whose, **cases})))


def test_long_names_are_never_cut(tmp_path: Path) -> None:
    sites = (LONG, *SITES[:2])
    text = page(tmp_path / "run", record(sites), sites)
    assert LONG[:20] + "…" not in text
    assert re.search(r'class="chart".*', text)
    assert all(LONG in part for part in text.split('id="learning"')[1].split("<svg")[:2])


def test_the_script_opens_no_connection_and_its_text_survives_html() -> None:
    assert not re.search(r"fetch|XMLHttp|WebSocket|import\(|\r|</", SCRIPT)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium, which is not installed here")
def test_a_csv_file_holds_what_its_table_shows_and_no_formula(tmp_path: Path) -> None:
    found = record()
    found["patients"][0]["patient"] = "=1+1"
    page(tmp_path / "run", found)
    address = (tmp_path / "run" / "report.html").as_uri() + "#files"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    where = f"--user-data-dir={tmp_path / 'profile'}"
    command = ["chromium", *flags, where, "--disable-component-update", "--disable-sync", "--dump-dom", address]
    dom = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()
    links = re.findall(r'download="([^"]+)"[^>]*href="(data:[^"]+)"', dom)
    files = {name: unquote(html.unescape(address).split(",", 1)[1]) for name, address in links}
    gains = next(text for name, text in files.items() if name.startswith("the-gains-as-numbers"))
    rows = list(csv.reader(io.StringIO(gains.removeprefix("\ufeff"))))
    assert rows[0] == ["Hospital", "Gain", "from", "to", "On"]
    assert rows[1:] == [
        [SITES[2], "+0.020", "+0.010", "+0.030", "4 patients"],
        [SITES[1], "0.000", "-0.010", "+0.010", "4 patients"],
        [SITES[0], "-0.020", "-0.030", "-0.010", "4 patients"],
    ]
    assert "'=1+1" in "".join(files.values())
    drawn = [text for name, text in files.items() if name.endswith(".svg")]
    assert drawn and all(text.startswith("<svg xmlns=") and "var(" not in text for text in drawn)
