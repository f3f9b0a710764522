"""Flower's own commands, in an environment where nothing calls home, installs, or reaches this machine by a proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import EngineError
from common.files.access import UMASK
from experiments.engine import QUIET, without_proxy
from experiments.engines import _flower_program
from experiments.engines._run_secrets import LOOPBACK, RunSecrets

FEDERATION = "wardround"
LONGEST_COMMAND_S = 300.0


@dataclass(frozen=True)
class FlowerCommands:
    """programs: where the scripts are that run Flower's programs. home: of those who command the SuperLink.

    plugins: a folder of modules that a study names. more: further variables of the environment.
    """

    programs: Path
    home: Path
    secrets: RunSecrets
    plugins: Path | None = None
    more: tuple[tuple[str, str], ...] = ()

    def command_link(self, port: int) -> None:
        """Say which SuperLink the commands are for."""
        (self.home / "config.toml").write_text(
            f'[superlink]\ndefault = "{FEDERATION}"\n\n[superlink.{FEDERATION}]\n'
            f'address = "{LOOPBACK}:{port}"\nroot-certificates = "{self.secrets.authority}"\n',
            encoding="utf-8",
        )

    def say(self, *arguments: str, longest_s: float = LONGEST_COMMAND_S) -> dict[str, Any]:
        """What a command of Flower's says in JSON. Raises EngineError with its last words where it says none."""
        name = f"flwr {arguments[0]}"
        try:
            done = subprocess.run(
                [str(self.programs / "flwr"), *arguments, "--format", "json"],
                env=self.environment(self.home),
                capture_output=True,
                text=True,
                timeout=longest_s,
                cwd=self.home,
                umask=UMASK,
            )
            said = json.loads(done.stdout) if done.returncode == 0 else None
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"{name} did not end within {longest_s:g} s.") from error
        except json.JSONDecodeError as error:
            raise EngineError(f"{name} said something that is not JSON: {done.stdout[-800:]}") from error
        if not isinstance(said, dict):
            raise EngineError(f"{name} failed: {(done.stderr or done.stdout)[-800:]}")
        return said

    def say_each(
        self, commands: Sequence[Sequence[str]], longest_s: float = LONGEST_COMMAND_S
    ) -> list[dict[str, Any]]:
        """What each of several commands says in JSON; {} of one that failed. Raises EngineError where none ran."""
        lines = "".join(json.dumps([*words, "--format", "json"]) + "\n" for words in commands)
        try:
            done = subprocess.run(
                [str(self.programs / _flower_program.EACH)],
                input=lines,
                env=self.environment(self.home),
                capture_output=True,
                text=True,
                timeout=longest_s,
                cwd=self.home,
                umask=UMASK,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"{len(commands)} commands of Flower did not end within {longest_s:g} s.") from error
        said = done.stdout.split(_flower_program.SEPARATOR)[:-1]
        if len(said) != len(commands):
            raise EngineError(f"commands of Flower failed: {(done.stderr or done.stdout)[-800:]}")
        return [_table(one) for one in said]

    def environment(self, home: Path) -> Mapping[str, str]:
        """The person's own, but none of Flower's switches (some open ports) and no proxy between us and loopback."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLWR_")}
        modules = [inherited.get("PYTHONPATH", ""), *([str(self.plugins)] if self.plugins else [])]
        found_first = (str(self.programs), str(Path(sys.executable).parent), os.environ.get("PATH", ""))
        return {
            **inherited,
            **QUIET,
            "FLWR_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(one for one in modules if one),
            "PATH": os.pathsep.join(found_first),
            "PYTHONWARNINGS": "default",
            **without_proxy(os.environ),
            _flower_program.AUTHORITY: str(self.secrets.authority),
            _flower_program.CONNECTING: str(self.secrets.connecting),
            **dict(self.more),
        }


def _table(said: str) -> dict[str, Any]:
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
