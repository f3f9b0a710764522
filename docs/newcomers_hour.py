"""Play a newcomer's hour: every command that the built site shows on Start, Your data and Audit, in a fresh folder.

    make site
    .venv/bin/python docs/newcomers_hour.py --out hour

Studies are written as the pages have them, files of hospitals are made up, and each command is typed as it stands
there, but for what the pages leave open: which run, which folder, whose key. It prints what each took, writes
hour.json after each, and exits with 1 where a command did not do what its page says, or did not end.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, os.fspath(ROOT))

from experiments.benchmarks.first_result import STORIES  # noqa: E402 - found by the line above

NEEDS_A_DATA_SET = "heart"
SIGNER = "3733 6494 ..."


@dataclass(frozen=True)
class Done:
    """A command of a page. wrong: why it did not do what the page says, "" where it did."""

    page: str
    command: str
    seconds: float
    wrong: str


class Blocks(HTMLParser):
    """The blocks of code of a page, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """A block begins."""
        if tag == "pre":
            self.depth += 1
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        """A block ends."""
        self.depth -= tag == "pre"

    def handle_data(self, data: str) -> None:
        """Text, of a block or between blocks."""
        if self.depth:
            self.texts[-1] += data


@dataclass
class Hour:
    """What the newcomer has: the built site, a folder, and what was done in it so far."""

    site: Path
    out: Path
    seconds: int
    longest_s: float = 1800.0
    done: list[Done] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    digits: str = ""

    def blocks(self, page: str) -> list[str]:
        """The blocks of a page, each without its last line's end."""
        parser = Blocks()
        parser.feed((self.site / page).read_text(encoding="utf-8"))
        return [text.rstrip("\n") for text in parser.texts]

    def start(self) -> None:
        """Start: a first study, a shipped one."""
        for block in self.blocks("index.html"):
            name = re.match(r"# (\w+\.toml)\n", block)
            if name:
                (self.out / name[1]).write_text(block + "\n", encoding="utf-8")
            for line, refusal in typed(block):
                if "moving.nii.gz" in block:
                    self.left_out.append(f"{line}: needs files of one's own")
                else:
                    self.type("index.html", line, refusal)

    def own_data(self) -> None:
        """Your data: each study with files in the form that its page shows."""
        blocks = self.blocks("own-data.html")
        commands = first(blocks, lambda block: block.startswith("wardround data check"), "commands").splitlines()
        makers = {story.source: story for story in STORIES}
        for text in blocks:
            source = study_of(text).get("source", {})
            story = makers.get(source.get("name", ""))
            if story is not None:
                folder = self.out / story.source
                story.make(folder / source["folder"], story.persons, story.side)
                (folder / "study.toml").write_text(text + "\n", encoding="utf-8")
                for line in commands:
                    self.type("own-data.html", line.partition("#")[0].strip(), cwd=folder)

    def audit(self) -> None:
        """Audit: attack the demo's run, sign and verify what is filed."""
        blocks = self.blocks("audit.html")
        words = first(blocks, lambda block: "dossier" in study_of(block), "the dossier's words")
        (self.out / "words.toml").write_text(words + "\n", encoding="utf-8")
        for line, refusal in (one for block in blocks for one in typed(block)):
            if NEEDS_A_DATA_SET in line.split():
                self.left_out.append(f"{line}: needs {NEEDS_A_DATA_SET}, which is downloaded")
            else:
                self.type("audit.html", line, refusal)

    def type(self, page: str, line: str, refusal: str = "", cwd: Path | None = None) -> None:
        """Type a command; refusal: the beginning of the line with which the page says that it is refused."""
        words = shlex.split(self.filled(line), comments=True)
        begin = monotonic()
        command = [os.fspath(Path(sys.executable).with_name(words[0])), *words[1:]]
        code, said = ended(command, cwd or self.out, self.longest_s)
        is_right = refusal in " ".join(said.split()) and code == (1 if refusal else 0)
        self.digits = next(iter(re.findall(r"(?:[0-9]{4} ){7}[0-9]{4}", said)), self.digits)
        how = "did not end" if code is None else f"exited with {code}"
        wrong = "" if is_right else f"{how}: {said.strip()[-600:]}"
        self.done.append(Done(page, shlex.join(words), round(monotonic() - begin, 1), wrong))
        self.keep()
        print(
            f"{self.done[-1].seconds:7.1f} s  {self.done[-1].command}" + (f"\n  {wrong}" if wrong else ""), flush=True
        )

    def keep(self) -> None:
        """Write hour.json as far as it is known: whoever ends the script loses nothing."""
        minutes = sum(one.seconds for one in self.done) / 60
        table = {"minutes": round(minutes, 2), "done": [asdict(one) for one in self.done], "left_out": self.left_out}
        (self.out / "hour.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")

    def filled(self, line: str) -> str:
        """The line with what the page leaves open: the newest run, a folder of one's own, the digits of a key."""
        runs = sorted((self.out / "runs" / "demo").glob("*"), key=lambda one: one.stat().st_mtime)
        if runs and re.search(r"\bRUN\b|/\.\.\.", line):
            run = runs[-1]
            line = re.sub(r"\bRUN\b|runs/demo/\.\.\.", os.fspath(run.relative_to(self.out)), line)
        if (
            line.split()[:2] == ["wardround", "audit"]
            and "runs/" in line
            and not {"sign", "verify"} & {*line.split()}
        ):
            line = line.partition("#")[0] + f" --seconds {self.seconds}"
        return line.replace("/srv/officer", os.fspath(self.out / "officer")).replace(SIGNER, self.digits or SIGNER)


def first(blocks: Sequence[str], fits: Callable[[str], bool], what: str) -> str:
    """The first block that fits; where the page has none any more the script is at its end, and says so."""
    found = next(filter(fits, blocks), None)
    if found is None:
        raise SystemExit(f"The built page has no block with {what}: build it anew, or mend {Path(__file__).name}.")
    return found


def ended(command: Sequence[str], folder: Path, longest_s: float) -> tuple[int | None, str]:
    """The exit status and all that was said; None for a command that was ended since it took too long."""
    try:
        ran = subprocess.run(
            command,
            cwd=folder,
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=longest_s,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return None, "".join(
            one.decode(errors="replace") if isinstance(one, bytes) else one or ""
            for one in (late.stdout, late.stderr)
        )
    return ran.returncode, ran.stdout + ran.stderr


def typed(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with the beginning of its refusal where the page shows one."""
    lines = block.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("$ wardround "):
            after = lines[number + 1] if number + 1 < len(lines) else ""
            yield line[2:], after.partition(" There are")[0] if re.match(r"[A-Z]\w+: ", after) else ""


def study_of(text: str) -> dict[str, dict[str, str]]:
    """The block as TOML; {} where it is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def main(words: Sequence[str] | None = None) -> int:
    """Play it; 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="A folder that is not there yet.")
    parser.add_argument("--site", type=Path, default=ROOT / "build" / "site", help="As `make site` builds it.")
    parser.add_argument("--seconds", type=int, default=30, help="Of attacks, of each audit.")
    parser.add_argument("--longest", type=float, default=1800.0, help="Seconds after which a command is ended.")
    given = parser.parse_args(words)
    if not (given.site / "index.html").is_file():
        parser.error(f"{given.site} is no built site: make site")
    given.out.mkdir(parents=True)
    hour = Hour(given.site.resolve(), given.out.resolve(), given.seconds, given.longest)
    for part in (hour.start, hour.own_data, hour.audit):
        part()
    for one in hour.left_out:
        print(f"Left out: {one}")
    minutes = sum(one.seconds for one in hour.done) / 60
    wrong = [one for one in hour.done if one.wrong]
    print(f"{len(hour.done)} commands in {minutes:.1f} minutes; {len(wrong)} did not do what their page says.")
    hour.keep()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
