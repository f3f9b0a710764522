"""Runs one study on one engine in a process of its own, so that its memory can be read from outside."""

from __future__ import annotations

import sys
from pathlib import Path

from common.study.study import parse
from experiments.engines._quiet import run_quietly


def main() -> None:
    """Arguments: a study's TOML file and the run folder."""
    study_file, folder = Path(sys.argv[1]), Path(sys.argv[2])
    run_quietly(parse(study_file.read_text(encoding="utf-8")), folder, "probe")


if __name__ == "__main__":
    main()
