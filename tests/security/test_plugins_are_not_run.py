"""Code that a study names is run only where whoever began the work agreed: everything else is refused unimported."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Message
from typer.testing import CliRunner

from client.approved_studies import APPROVED, digest_of
from client.node import Config, Node, load_app
from client.policy import POLICY_FILE, Policy, read_policy
from common.errors import StudyError
from common.study import plugins
from common.study.catalogue import SOURCES
from common.study.plugins import ANYTHING, trusting
from common.study.study import parse, parse_json
from common.sums.exchange import Payload
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.records import from_records, to_records
from experiments.cli import cli

TEXT = """
title = "Named code"
rounds = 1
source = { name = "phantom", hospitals = 2, patients = [4], slices_per_patient = 1, size = 16 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 1 } }
strategy = "fedavg"
aggregation = "plain"
privacy = "none"
"""
PLACES = ("source.name", "task.name", "task.network.name", "strategy.name", "aggregation.name", "partition.name")
WARD = """
from dataclasses import dataclass
from client.sources.phantom import Phantom

@dataclass(frozen=True)
class Ward(Phantom):
    "A phantom."
"""


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module and a file that leave a mark when they are imported."""
    mark = tmp_path / "was-run"
    code = f"from pathlib import Path\nPath({str(mark)!r}).write_text('x')\n{WARD}\nsource = Ward\n"
    (tmp_path / "wardround_evil.py").write_text(code)
    (tmp_path / "wardround_good.py").write_text(WARD + "\nsource = Ward\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "_digests", {})  # another test's module of the same name is none of this one's
    yield mark
    for name in ("wardround_evil", "wardround_good"):
        sys.modules.pop(name, None)


def references(mark: Path) -> tuple[str, ...]:
    here = mark.parent / "wardround_evil.py"
    return (
        "wardround_evil:Ward",
        "wardround_evil:source",
        f"{here}",
        f"{here}:Ward",
        "os:system",
        "subprocess:Popen",
    )


def table_of(reference: str, place: str) -> dict[str, Any]:
    """A study as a coordinator might write it by hand, with `reference` in the place of an entry's name."""
    table: dict[str, Any] = json.loads(parse(TEXT).json)
    *keys, last = place.split(".")
    at = table
    for key in keys:
        at = at.setdefault(key, {})
    at.clear()
    at[last] = reference
    return table


def answer(study: str, config: Config, folder: Path) -> set[str]:
    node = Node(load_app("client.app:app"), 1, 1, {**config, "folder": str(folder)})
    identify(1, 1)
    reply = from_bytes(node.answer(to_bytes(Message(to_records(Payload(words={"study": study})), 1, "query.hello"))))
    return set(from_records(reply.content, 1 << 20, 1 << 20).words)


@pytest.mark.parametrize("place", PLACES)
def test_a_deployed_hospital_imports_nothing_that_its_policy_does_not_name(
    evil: Path, tmp_path: Path, place: str
) -> None:
    """Even a study that its list has, as one that was listed by hand."""
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    for reference in references(evil):
        study = json.dumps(table_of(reference, place))
        (own / APPROVED).write_text(digest_of(study))
        assert answer(study, {"site-index": 0}, own) == {"incident"}
        assert not evil.exists() and "wardround_evil" not in sys.modules
        assert place == "partition.name" or "which was not run" in (own / "incidents.log").read_text()
        (own / "incidents.log").unlink()


def test_a_dataset_of_the_source_torch_is_a_plug_in_too(evil: Path, tmp_path: Path) -> None:
    for reference in references(evil):
        table = {**json.loads(parse(TEXT).json), "source": {"name": "torch", "dataset": reference}}
        with pytest.raises(StudyError, match=r"which was not run|needs a class"):
            parse_json(json.dumps(table))
    assert not evil.exists()


def test_a_hospital_imports_a_module_of_its_policy_and_no_file(evil: Path, tmp_path: Path) -> None:
    (tmp_path / POLICY_FILE).write_text('plugins = ["wardround_good"]\n')
    policy = read_policy(tmp_path)
    assert policy.plugins == {"wardround_good": ""} and Policy().plugins == {}
    with trusting(policy.trust):
        study = parse_json(json.dumps(table_of("wardround_good:Ward", "source.name")))
        assert list(study.plugins) == ["wardround_good"] and len(study.plugins["wardround_good"]) == 64
        for other in (*references(evil), f"{tmp_path / 'wardround_good.py'}", "wardround_good.inner:Ward"):
            with pytest.raises(StudyError, match=r"not run.*policy\.toml"):
                parse_json(json.dumps(table_of(other, "source.name")))
    assert not evil.exists()


@pytest.mark.parametrize(
    ("listed", "reason"), [(None, None), ("0" * 64, "here it is the version"), ("5c7f", "64 hexadecimal digits")]
)
def test_a_policy_that_lists_a_digest_has_that_very_version_imported_and_no_other(
    evil: Path, tmp_path: Path, listed: str | None, reason: str | None
) -> None:
    with trusting(ANYTHING):
        listed = listed or str(SOURCES.digest("wardround_good:Ward"))
    (tmp_path / POLICY_FILE).write_text(f'plugins = {{ wardround_good = "{listed}" }}\n')
    with pytest.raises(StudyError, match=reason) if reason else nullcontext(), ExitStack() as stack:
        stack.enter_context(trusting(read_policy(tmp_path).trust))
        SOURCES.load("wardround_good:Ward")


def test_approve_says_the_plug_ins_and_which_have_changed_since(evil: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    (own / POLICY_FILE).write_text('plugins = ["wardround_good"]\n')
    (tmp_path / "study.toml").write_text(TEXT)
    words = ["approve", str(tmp_path / "study.toml"), str(own), "--set", 'source={name="wardround_good:Ward"}']
    with trusting(ANYTHING):
        first = SOURCES.digest("wardround_good:Ward")
    said = CliRunner().invoke(cli, words).output
    assert f"module wardround_good, SHA-256 of its files {first}." in said and "CHANGED" not in said
    (tmp_path / "wardround_good.py").write_text(WARD + "\n# mended\nsource = Ward\n")
    plugins._digests.clear()
    said = CliRunner().invoke(cli, words).output
    assert f"It has CHANGED since a study of this title was approved, when it was {first}." in said
    assert len((own / APPROVED).read_text().splitlines()) == 2


def test_another_version_than_the_one_the_study_was_read_with_is_refused(evil: Path, tmp_path: Path) -> None:
    reference = f"{tmp_path / 'wardround_good.py'}:Ward"
    with trusting(ANYTHING):
        study = parse(TEXT, [f'source={{name="{reference}", hospitals=2}}'])
        assert parse_json(study.json) == study
        (tmp_path / "wardround_good.py").write_text(WARD + "\n# changed\n")
        with pytest.raises(StudyError, match="is not the one that this study was read with"):
            parse_json(study.json)
    assert study.json != parse(TEXT).json


def test_approve_refuses_before_it_imports(evil: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    for reference in references(evil):
        (tmp_path / "study.toml").write_text(TEXT)
        words = ["approve", str(tmp_path / "study.toml"), str(own), "--set", f'source={{name="{reference}"}}']
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 1 and "which was not run" in result.output
    assert not evil.exists() and not (own / APPROVED).exists()


@pytest.mark.parametrize("command", [["audit"], ["resume"], ["report"], ["privacy", "ledger"]])
def test_a_strangers_run_folder_is_read_without_running_its_code(
    evil: Path, tmp_path: Path, command: list[str]
) -> None:
    for number, reference in enumerate(references(evil)):
        folder = tmp_path / f"run-{number}"
        (folder / "traffic").mkdir(parents=True)
        (folder / "traffic" / "index.jsonl").write_text("")
        named = f'source = {{ name = "{reference}" }}'
        lines = [named if line.startswith("source") else line for line in TEXT.splitlines()]
        (folder / "study.toml").write_text("\n".join(lines))
        (folder / "about.json").write_text('{"state": "completed", "study": "x", "model_sha256": "x"}')
        result = CliRunner().invoke(cli, [*command, str(folder)])
        assert not evil.exists() and "wardround_evil" not in sys.modules
        if command[0] in ("audit", "resume"):
            assert result.exit_code == 1 and "--trust-code" in result.output


def test_what_an_own_study_names_is_run(evil: Path, tmp_path: Path) -> None:
    """The planted code works: it is refused above because nobody agreed, not because it is broken."""
    (tmp_path / "study.toml").write_text(TEXT)
    words = ["check", str(tmp_path / "study.toml"), "--set", 'source={name="wardround_evil.py", hospitals=2}']
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert evil.exists()
