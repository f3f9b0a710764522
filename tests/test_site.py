"""The site of docs/: its menu, the pages that are made for it, and, where mkdocs is installed, all of it."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ended import ended

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def pages() -> Iterator[Any]:
    """docs/site_pages/made_pages.py, found as mkdocs finds it."""
    before = list(sys.path)
    sys.path.insert(0, os.fspath(DOCS / "site_pages"))
    yield import_module("made_pages")
    sys.path[:] = before


def in_menu(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for one in entry.values() if isinstance(entry, dict) else entry:  # type: ignore[attr-defined]
            yield from in_menu(one)


def test_every_page_has_one_place_in_the_menu_and_the_menu_leads_to_pages(pages: Any) -> None:
    menu = sorted(in_menu(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    spliced = {*pages.entry_pages().values(), *pages.python_pages().values()}
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert menu == sorted(written | (pages.MADE().keys() - spliced))


@pytest.mark.parametrize("page", ["contributing.md", "changelog.md", "benchmarks.md", "reference/entries.md"])
def test_links_of_a_made_page_lead_to_pages(pages: Any, page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", pages.inside(pages.MADE()[page](), page))
    assert links
    places = {os.path.normpath(DOCS / Path(page).parent / link) for link in links if "://" not in link}
    made = {os.path.normpath(DOCS / path) for path in pages.MADE()}
    assert not [place for place in places - made if not Path(place).is_file()]


def test_every_protection_has_its_threat_model_argument_price_and_tests() -> None:
    for page in (DOCS / "protections").glob("*.md"):
        said = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        if page.stem != "compositions":
            wanted = ("Against whom", "Why it holds|What an update gives away", "What it costs", "Where it is tried")
            assert not [words for words in wanted if not any(re.match(words, one) for one in said)], page.stem


def test_a_link_out_of_the_pages_leads_to_what_the_site_has_of_it(pages: Any) -> None:
    text = "[a](../CONTRIBUTING.md#x) [b](../experiments/studies/demo.toml) [c](../common/wire/refusals.py) "
    text += "[d](asking.md)"
    followed = "[a](contributing.md#x) [b](reference/studies.md#demo) c (`common/wire/refusals.py`) [d](asking.md)"
    assert pages.inside(text, "own-model.md") == followed
    assert "\n| [Privacy](reference/python/privacy.md) | " in pages.inside("# In Python", "python.md")
    assert pages.inside("[a](../../CONTRIBUTING.md)", "protections/bfv.md") == "[a](../contributing.md)"
    assert pages.inside(f"```\n{text}\n```", "own-model.md") == f"```\n{text}\n```"


def test_words_of_a_terminal_stay_letters_in_a_table(pages: Any) -> None:
    words = import_module("markdown_words")
    assert words.cell("a|b <c>\n`d_e|f` *g* h_i") == r"a\|b &lt;c&gt; `d_e|f` \*g\* h\_i"
    assert words.table(("x", "y"), [["1", "2"]]) == "| x | y |\n| --- | --- |\n| 1 | 2 |\n"
    assert words.table(("x",), []) == ""


def test_settings_have_a_row_each_with_what_they_mean(pages: Any) -> None:
    page = pages.MADE()["reference/settings.md"]()
    assert '| `batch_size` | whole number or "full" | `32` |' in page
    assert "| `training` | [table](#training) |  |" in page and "\n## `[training]`\n" in page
    assert "| `source` | [a name, or a table with it](entries.md) | needed |" in page
    assert not re.findall(r"^\| `\w+` \|.*\|\s*\|$", page, re.MULTILINE), "a setting without a meaning"
    assert "## `[start]`\n\n| setting |" in page and "`evaluate_split`), a sum that the server opens anyway" in page


def test_commands_have_their_options_and_groups_that_do_something_are_commands(pages: Any) -> None:
    page = pages.MADE()["reference/commands.md"]()
    assert (
        "## wardround audit\n" in page and "## wardround audit sign\n" in page and "## wardround node\n" not in page
    )
    run = page.partition("## wardround run\n")[2].partition("\n## ")[0]
    assert "```\nwardround run [OPTIONS] STUDY\n```" in run
    assert re.search(r"^\| `STUDY` \| .*\| needed \|$", run, re.MULTILINE)
    assert re.search(r"^\| `--set` `TEXT` \| Override a setting.*\|  \|$", run, re.MULTILINE)


def test_a_function_of_the_reference_says_what_goes_in_where_it_has_more_than_a_line_to_say(pages: Any) -> None:
    """Google's form, from which the site makes tables: every parameter of it, by its name."""
    lacking = []
    for module in pages.documented_modules():
        for where, function in public_functions(
            ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8"))
        ):
            said, parts = ast.get_docstring(function) or "", function.args
            given = [*parts.posonlyargs, *parts.args, *parts.kwonlyargs, parts.vararg, parts.kwarg]
            names = {one.arg for one in given if one is not None} - {"self", "cls"}
            told = set(re.findall(r"^    (\w+):", said.partition("Args:")[2].partition("\n\n")[0], re.MULTILINE))
            if names and "\n" in said and names != told:
                lacking.append(f"{module}.{where}: {sorted(names ^ told)}")
    assert not lacking


def public_functions(tree: ast.Module | ast.ClassDef, before: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield before + node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node, f"{before}{node.name}.")


def test_fields_that_a_docstring_explains_in_a_paragraph_are_read_one_by_one(pages: Any) -> None:
    pytest.importorskip("griffe")
    listed = import_module("field_tables").with_attributes
    text = "Rows alike. low, high: codes\nthey span. counts: (n,) rows: all. Raises X for none.\n\nMore of `low`: it."
    shown = (
        "Rows alike.\n\nMore of `low`: it.\n\nAttributes:\n    low: codes they span.\n    high: codes they span.\n"
    )
    assert listed(text, ["low", "high", "counts"]) == shown + "    counts: (n,) rows: all.\n\nRaises X for none."
    assert listed("No field: none.\n\n    counts: shown", ["counts"]) == "No field: none.\n\n    counts: shown"


def test_results_have_a_place_for_each_benchmark_that_they_tell_of(pages: Any) -> None:
    module = import_module("benchmarks_page")
    results = "# R\n\nOne.\n\nTwo of\n`A=1 wardround bench heart --seeds 3`: x\n\n`wardround bench heart`\n"
    results += "\nThree: `wardround bench a-b`.\n"
    marked = module.marked_results(results)
    assert '\n\n<a id="bench-heart"></a>\n\nTwo of\n' in marked
    assert marked.count("<a id=") == 2 and re.sub(r"<a id=\S+</a>\n\n", "", marked) == results


def test_tables_of_results_are_those_that_benchmarks_wrote(pages: Any) -> None:
    module = import_module("measured_tables")
    results = module.RESULTS.read_text(encoding="utf-8")
    assert results == module.written(results, module.kept_tables()), "python docs/site_pages/measured_tables.py"


def test_a_table_says_what_was_met_and_where_and_comes_where_its_benchmark_is_told_of(pages: Any) -> None:
    module = import_module("measured_tables")
    kept = {"rows": [{"n": 2, "s": 0.12345}], "notes": ["a_b"], "versions": {"torch": "2"}, "targets": [
        {"name": "t", "ours": 1.0, "peer": None, "bound": 2.0, "target": "less", "met": False}]}  # fmt: skip
    shown = module.measured_table(kept, module.target_table(kept))
    assert "| n | s |" in shown and "| 2 | 0.1235 |" in shown and r"a\_b" in shown
    assert "| t | 1 | - | 2 | less | missed |" in shown and "Measured with torch 2.\n" in shown
    where = {"day": "2031-02-03", "commit": "abc", "machine": "Linux, 2 cores", "load": 1.5, "settings": {"A": "1"}}
    said = module.measured_table({**kept, **where}, "")
    assert "Measured on 2031-02-03 at abc with torch 2: Linux, 2 cores, load 1.5; `A=1`.\n" in said
    page = "# R\n\n`wardround bench heart`: x\ny.\n\nMore.\n"
    made = module.written(page, {"heart": kept, "other": {**kept, "rows": []}})
    assert re.match(
        r"# R\n\n`wardround bench heart`: x\ny.\n\n<!-- .*?-->\n\n\| n .*?end of \S+ -->\n\nMore.", made, re.DOTALL
    )
    assert made.index("More.") < made.index("docs/measured/other.json")
    assert "0 of 1 targets met; missed: t (1; less)." in made
    assert module.written(made.replace("0.1235", "0.5"), {"heart": kept}).count("0.1235") == 1


@pytest.mark.skipif(
    not all(map(find_spec, ("mkdocs", "material", "mkdocstrings_handlers"))), reason="the extra docs is not installed"
)
@pytest.mark.filterwarnings("ignore")
def test_the_site_is_built_without_a_warning_and_fetches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links, anchors, docstrings and menu are mkdocs' own to judge: strict, it ends by its warnings. In this process,
    which has most of the program in memory already."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    page = (tmp_path / "site" / "audit.html").read_text(encoding="utf-8")
    assert "https://" not in re.sub(r'href="[^"]*"', "", page)


def test_an_hour_keeps_what_it_did_and_ends_what_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = runpy.run_path(str(DOCS / "newcomers_hour.py"))
    hour = module["Hour"](tmp_path, tmp_path, 1)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    for name, script in (
        ("wardround", "#!/bin/sh\necho no $1 >&2; exit 3\n"),
        ("idle", "#!/bin/sh\nexec sleep 60\n"),
    ):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o700)
    hour.type("index.html", "wardround audit RUN  # a remark")
    hour.longest_s = 0.2
    hour.type("index.html", "idle")
    kept = [(one["command"], one["wrong"]) for one in json.loads((tmp_path / "hour.json").read_text())["done"]]
    assert kept == [("wardround audit RUN", "exited with 3: no audit"), ("idle", "did not end: ")]
    with pytest.raises(SystemExit, match="no block with commands"):
        module["first"](["a"], str.isdigit, "commands")


@pytest.mark.skipif(
    os.environ.get("WARDROUND_DRILLS") != "1" or not (ROOT / "build" / "site" / "index.html").is_file(),
    reason="plays for some minutes what `make site` built: set WARDROUND_DRILLS=1",
)
def test_a_newcomers_hour_goes_as_the_built_pages_say(tmp_path: Path) -> None:
    script = [sys.executable, str(DOCS / "newcomers_hour.py"), "--out", str(tmp_path / "hour")]
    done = ended(script)
    assert done.returncode == 0, done.stdout + done.stderr
