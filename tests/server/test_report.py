"""The report of a whole run folder."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import WardroundError
from server.report import write_report
from server.reporting.wording import duration, score, size
from tests.server.sample_run import CITIES, site_names, write_sample

TABLES = ("about.json", "roster.json", "final.json", "traffic.json", "baselines.json")
OPTIONAL = (*TABLES, "pictures.json", "study.toml")
NETWORK_ATTRIBUTES = {"src", "href", "srcset", "action", "data", "poster", "xlink:href", "background", "formaction"}
VOID = {"meta", "img", "br", "input"}


class Page(HTMLParser):
    """Collects a page's text, tags and addresses, and checks that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.addresses += [value or "" for name, value in attrs if name in NETWORK_ATTRIBUTES]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.words)


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def read(folder: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / name).read_text())
    return loaded


def test_the_page_reaches_for_nothing_outside_itself(tmp_path: Path) -> None:
    html = write_report(write_sample(tmp_path / "run")).read_text(encoding="utf-8")
    page = Page(html)
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    html = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttpRequest|WebSocket", html)
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert page.tags.count("script") == page.tags.count("style") == 1


def test_the_policy_forbids_the_network_and_every_script_but_ours(tmp_path: Path) -> None:
    page = page_of(write_sample(tmp_path / "run"))
    policies = [value for name, value in page.attributes if name == "content" and value and "default-src" in value]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policies[0]
    assert not any(name.startswith("on") or name == "style" for name, _ in page.attributes)


def test_every_hospital_is_named(tmp_path: Path) -> None:
    text = page_of(write_sample(tmp_path / "run")).text
    assert all(site in text for site in CITIES[:5])


def test_a_hundred_hospitals_are_all_named_on_a_page_of_moderate_size(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run", site_names(100), rounds=40, fraction=0.1, pictures=False)
    text = page_of(folder).text
    assert all(site in text for site in site_names(100))
    assert (folder / "report.html").stat().st_size < 2_000_000
    assert "middle half of 100 hospitals" in text


def test_the_main_figures_are_those_of_the_files(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run")
    text, final, base = page_of(folder).text, read(folder, "final.json"), read(folder, "baselines.json")
    for name, scores in (("federated", final["test"]["sites"]), ("local", base["local"]), ("pooled", base["pooled"])):
        mean = sum(one["dice"] for one in scores.values()) / 5
        assert score(mean) in text, name
        assert all(score(one["dice"]) in text for one in scores.values())


def test_the_headline_is_the_mean_over_hospitals_worked_out_by_hand(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run", ["Oslo", "Rome"], rounds=3)
    sites = {"Oslo": {"dice": 0.5}, "Rome": {"dice": 0.75}}
    (folder / "final.json").write_text(json.dumps({"test": {"sites": sites, "pooled": {"dice": 0.7}}}))
    local = {"Oslo": {"dice": 0.25}, "Rome": {"dice": 0.8}}
    (folder / "baselines.json").write_text(json.dumps({"local": local, "pooled": {}}))
    text = page_of(folder).text
    assert "a mean Dice of 0.625 on the test patients of 2 hospitals: 0.100 above" in text
    assert "beats the hospital's own at 1 of 2 hospitals. It falls behind at Rome (\u22120.050)." in text


def test_a_hospital_without_a_score_is_left_out_of_every_models_mean(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run", ["Oslo", "Rome"], rounds=3)
    sites = {"Oslo": {"dice": 0.5}, "Rome": {"dice": None}}
    (folder / "final.json").write_text(json.dumps({"test": {"sites": sites, "pooled": {}}}))
    (folder / "baselines.json").write_text(json.dumps({"local": {"Oslo": {"dice": 0.25}, "Rome": {"dice": 0.9}}}))
    headline = _summary(folder)["headline"]
    assert headline["federated"] == 0.5 and headline["local"] == 0.25 and headline["hospitals"] == 1


def _summary(folder: Path) -> dict[str, Any]:
    write_report(folder)
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def test_the_summary_holds_the_figures_of_the_page(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run")
    summary, text = _summary(folder), page_of(folder).text
    traffic = json.loads((folder / "traffic.json").read_text())
    received = sum(kind["bytes"] for kind in traffic["kinds"] if kind["direction"] == "to server")
    assert summary["bytes"]["received"] == received and size(received) in text
    assert duration(221.4) in text and summary["seconds"] == 221.4
    assert summary["rounds"] == {"done": 24, "planned": 24}
    assert set(summary["hospitals"]) == set(CITIES[:5])
    final = read(folder, "final.json")["test"]["sites"]
    assert all(summary["hospitals"][site]["federated"] == final[site]["dice"] for site in final)
    assert str(summary["model_sha256"]) in text


HOSTILE = '<script>alert("1")</script>\u202e\' onload=x & \ud800'


def test_a_hostile_name_and_reason_stay_text(tmp_path: Path) -> None:
    sites = [HOSTILE, "Oslo"]
    folder = write_sample(tmp_path / "run", sites, rounds=23, state="stopped", reason="</p><img src=x onerror=y>")
    html = write_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert page.tags.count("script") == 1 and "<img src=x" not in html
    assert "</p><img src=x onerror=y>" in page.text
    assert '<script>alert("1")</script>' in page.text
    assert "\u202e" not in html
    assert not any(name.startswith("on") for name, _ in page.attributes)


@pytest.mark.parametrize("missing", OPTIONAL)
def test_the_page_is_made_without_any_one_file(tmp_path: Path, missing: str) -> None:
    folder = write_sample(tmp_path / "run")
    (folder / missing).unlink()
    assert "Aarhus" in page_of(folder).text


@pytest.mark.parametrize("only", ["about.json", "study.toml", "rounds.jsonl"])
def test_the_page_is_made_of_one_file_alone(tmp_path: Path, only: str) -> None:
    folder = write_sample(tmp_path / "run")
    for path in folder.iterdir():
        if path.name != only:
            path.unlink()
    assert "Federated training report" in page_of(folder).text


def test_a_folder_that_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WardroundError, match="is no run folder"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", [*OPTIONAL, "rounds.jsonl"])
@pytest.mark.parametrize("content", ["{", "[]", "17", '{"sites": 3, "kinds": [1, {}], "rounds": "x"}', '["\\ud800"]'])
def test_a_broken_file_is_named_or_ignored_and_the_rest_is_shown(tmp_path: Path, name: str, content: str) -> None:
    folder = write_sample(tmp_path / "run")
    (folder / name).write_text(content)
    text = page_of(folder).text
    assert "Aarhus" in text
    assert content != "{" or name in text


def test_half_a_last_line_of_the_rounds_costs_only_that_line(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run", rounds=4)
    whole = (folder / "rounds.jsonl").read_text()
    (folder / "rounds.jsonl").write_text(whole + '{"round": 5, "sel')
    text = page_of(folder).text
    assert "rounds.jsonl, line 5 is not valid JSON" in text and "4 rounds from left to right" in text


def test_a_run_without_a_finished_round_says_so(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run", rounds=0, state="failed", reason="Bergen did not come up within 120 s.")
    text = page_of(folder).text
    assert "No round finished, so there is no model to judge." in text
    assert "The run failed before the first round finished: Bergen did not come up within 120 s." in text


def test_a_stopped_run_shows_its_last_validation_and_the_reason(tmp_path: Path) -> None:
    reason = "1 of 3 hospitals replied in round 8; the study demands 2."
    text = page_of(write_sample(tmp_path / "run", CITIES[:3], rounds=7, state="stopped", reason=reason)).text
    assert f"The run stopped after round 7: {reason}" in text
    assert "on the validation patients of 3 hospitals, after round 6." in text


def test_one_hospital_and_one_round_are_enough(tmp_path: Path) -> None:
    text = page_of(write_sample(tmp_path / "run", ["Oslo"], rounds=1)).text
    assert "on the test patients of one hospital" in text and "in 1 round;" in text


def test_without_pictures_the_page_says_why(tmp_path: Path) -> None:
    text = page_of(write_sample(tmp_path / "run", pictures=False)).text
    assert "Images never leave a hospital" in text


def test_pictures_that_are_not_png_are_not_shown(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run")
    pictures = json.loads((folder / "pictures.json").read_text())
    pictures[0]["image"] = "https://example.org/x.png"
    pictures[1]["truth"] = "data:image/svg+xml;base64,PHN2Zz4="
    pictures[2]["prediction"] = 'data:image/png;base64,AAAA"'
    (folder / "pictures.json").write_text(json.dumps(pictures))
    assert page_of(folder).tags.count("img") == 3 * 2


@pytest.mark.parametrize(
    ("reveals", "sentence"),
    [("each", "can read every hospital's single update"), ("sum", "can read only the sum"), ("", "does not say who")],
)
def test_who_could_read_an_update_is_said_in_words(tmp_path: Path, reveals: str, sentence: str) -> None:
    folder = write_sample(tmp_path / "run", reveals="each")
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps(about | {"reveals": reveals}))
    assert sentence in page_of(folder).text


def test_every_dropped_reply_is_listed_with_its_reason(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run")
    drops = [d for line in (folder / "rounds.jsonl").read_text().splitlines() for d in json.loads(line)["dropped"]]
    page = page_of(folder)
    assert drops and f"Replies that were not used ({len(drops)})" in page.text
    assert all(page.words.count(drop["reason"]) >= 1 for drop in drops)


def test_hospitals_that_came_up_and_were_left_out_are_named_at_the_top(tmp_path: Path) -> None:
    folder = write_sample(tmp_path)
    about = json.loads((folder / "about.json").read_text())
    left_out = [f"node {number}: it did not answer within 120 s" for number in range(14)]
    (folder / "about.json").write_text(json.dumps({**about, "absent": left_out}))
    text = page_of(folder).text
    assert left_out[11] in text and left_out[12] not in text
    assert "more, in rounds.jsonl and problems.jsonl" in text
    assert text.index(left_out[0]) < text.index("Does learning together help?")


def test_where_nobody_was_left_out_nothing_is_said_of_it(tmp_path: Path) -> None:
    assert "took no part" not in page_of(write_sample(tmp_path)).text


def _with_first_round(folder: Path, **changed: Any) -> Path:
    first, *others = (folder / "rounds.jsonl").read_text().splitlines()
    lines = [json.dumps({**json.loads(first), **changed}), *others]
    (folder / "rounds.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_round_that_was_repeated_says_how_often_and_why(tmp_path: Path) -> None:
    lost = {"site": CITIES[0], "leg": "unmask", "reason": "it did not answer"}
    ranged = {"factor": 4, "clipped": 0.001, "repeats": 1}
    folder = _with_first_round(write_sample(tmp_path), attempts=4, dropped=[lost], range=ranged)
    text = page_of(folder).text
    assert "Rounds that were asked for more than once (1)" in text
    assert f"again 2 times because a group was not whole (lost: {CITIES[0]})" in text
    assert "again 1 time, with a range 4 times the study's in the end" in text


def test_rounds_that_were_asked_for_once_are_not_listed(tmp_path: Path) -> None:
    assert "asked for more than once" not in page_of(write_sample(tmp_path)).text


def test_a_report_written_twice_is_the_same_and_leaves_no_other_file(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run")
    before = {path.name for path in folder.iterdir()}
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert {path.name for path in folder.iterdir()} - before == {"report.html", "summary.json"}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_value_anywhere_in_the_files_can_prevent_the_page(tmp_path: Path, data: st.DataObject) -> None:
    folder = write_sample(tmp_path / "run", CITIES[:2], rounds=2, pictures=False)
    name = data.draw(st.sampled_from(TABLES))
    whole = json.loads((folder / name).read_text())
    key = data.draw(st.sampled_from(sorted(whole)))
    inner = whole[key]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(JSON_VALUES)
    else:
        whole[key] = data.draw(JSON_VALUES)
    (folder / name).write_text(json.dumps(whole))
    page_of(folder)
    json.loads((folder / "summary.json").read_text(), parse_constant=_refuse)


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")
