"""Do docs/nodes.md word by word: three hospitals and a coordinator, each a machine of its own on one machine.

python docs/walk_nodes.py --out walked

Every machine is a network namespace with an address and a name, its own /var/lib and /srv, and its own home. Linux
with iproute2, for root only. One hospital reaches the coordinator by a CONNECT proxy alone.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, os.fspath(ROOT))

from experiments.benchmarks._namespaces import Laboratory  # noqa: E402 - found by the line above

PAGE = Path(__file__).with_name("nodes.md")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\S+), (at the coordinator|in each hospital)")
TYPED = re.compile(r"(coordinator|hospital)([$#]) (.+)")
GROUPS = re.compile(r"((?:[0-9]{4} ){7}[0-9]{4}) +(.+?)(?: \(|  |$)", re.MULTILINE)
COORDINATOR, EXAMPLE = "coordinator", "Aachen"
HOSPITALS = ("Aachen", "Bonn", "Graz")
FRONT, PROXY = "front.example", "proxy.example"
BEHIND_A_PROXY, WORDS_OF_A_PROXY = "Graz", f"--proxy http://{PROXY}:3128"
LASTING = ("server up", "node run")
TRIED_AGAIN = ("doctor", "status")
"""What people do again until it says that nothing is left to mend."""
READING = ("version", "data check", "policy", "approve --list", "log", "privacy ledger", "predict", "node files")
"""Commands of a hospital that change nothing of what others, or its own later commands, find."""
PATIENCE_S = 180.0
PATIENTS = 120
CENTRES = dict(zip(HOSPITALS, ("cleveland", "hungarian", "va"), strict=True))
KEPT = {"age": 0, "sex": 1, "pressure": 3, "cholesterol": 4, "rate": 7, "angina": 8}
DIAGNOSIS = 13


class WalkError(Exception):
    """A step of the page did not do what the page says."""


@dataclass
class Host:
    """A machine. folder: what it has of its own, /var/lib, /srv, the home where commands are typed, and /etc."""

    name: str
    folder: Path
    laboratory: Laboratory
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place in ("lib/wardround", "srv/heart", "home"):
            (self.folder / place).mkdir(parents=True, mode=0o700)

    @property
    def home(self) -> Path:
        """Where commands are typed."""
        return self.folder / "home"

    @property
    def own(self) -> Path:
        """The party's folder, /var/lib/wardround there."""
        return self.folder / "lib" / "wardround"

    def type(self, line: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """A line at its shell, to the end. typed: what is typed when it asks."""
        return self.laboratory.run(self.name, self._shell(line), input=typed, env=self._environment())

    def leave_running(self, line: str) -> None:
        """A line in a terminal of its own."""
        with (self.folder / f"{len(self.running)}.log").open("ab") as log:
            self.running[line] = self.laboratory.start(
                self.name, self._shell(f"exec {line}"), stdout=log, stderr=log, env=self._environment()
            )

    def end(self, line: str) -> int:
        """The exit status of what runs, once it was told to end."""
        process = self.running.pop(line)
        process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE_S)

    def _shell(self, line: str) -> Sequence[str]:
        """Mounts are this process' own: `ip netns exec` begins a mount namespace."""
        mounting = 'mount --bind "$1/lib" /var/lib && mount --bind "$1/srv" /srv && cd "$1/home" && exec sh -c "$2"'
        return ["sh", "-c", mounting, "host", str(self.folder), line]

    def _environment(self) -> dict[str, str]:
        names = ("LANG", "LC_ALL", "TMPDIR", "OMP_NUM_THREADS")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        path = f"{self.folder.parent / 'bin'}:{os.environ['PATH']}"
        return {**kept, "PATH": path, "HOME": str(self.home), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@dataclass
class World:
    """All machines. say: hears what was typed and said. once: commands that Aachen alone types."""

    coordinator: Host
    hospitals: dict[str, Host]
    say: Callable[[str], object] = print
    once: Sequence[str] = ()

    def follow(self, page: str) -> list[str]:
        """Do every block of the page, in its order; what was left out, and why."""
        left_out = []
        for kind, text in BLOCK.findall(page):
            named = NAMED.match(text)
            if kind == "toml" and named:
                self._write(named[1], named[2], text)
            for line in text.splitlines() if not kind else ():
                typed = TYPED.fullmatch(line)
                if typed and typed[2] == "#":
                    left_out.append(f"{line}: a line of root's, for a machine that stays")
                elif typed:
                    self._typed(typed[1], typed[3])
        return left_out

    def everywhere(self, line: str, typed: Callable[[str], str] = lambda name: "") -> dict[str, str]:
        """A line of Aachen's at every hospital at once, each with its own name; what each was told."""
        with ThreadPoolExecutor(len(self.hospitals)) as pool:
            asked = {
                name: pool.submit(self._done, host, _as_by(name, line), typed(name))
                for name, host in self.hospitals.items()
            }
        return {name: one.result() for name, one in asked.items()}

    def at_the_coordinator(self, line: str) -> str:
        """A line there; what was said."""
        return self._done(self.coordinator, line, "")

    def end(self) -> dict[str, int]:
        """End what runs, as a service manager does; the exit status of each."""
        hosts = [*self.hospitals.values(), self.coordinator]
        with ThreadPoolExecutor(len(hosts)) as pool:
            ends = {host.name: pool.submit(host.end, line) for host in hosts for line in list(host.running)}
        return {name: one.result() for name, one in ends.items()}

    def _typed(self, party: str, line: str) -> None:
        hosts = [self.coordinator] if party == COORDINATOR else list(self.hospitals.values())
        if any(f"wardround {words}" in line for words in LASTING):
            for host in hosts:
                host.leave_running(line)
            self.say(f"{party}$ {line} &")
        elif "--compare" in line:
            self.everywhere(line, lambda name: self._read_out(_as_by(name, line)))
        elif party == COORDINATOR:
            self.at_the_coordinator(line)
            self._hand_out()
        elif any(line.startswith(f"wardround {words}") for words in self.once):
            self._done(self.hospitals[EXAMPLE], line, "")
        else:
            self.everywhere(line)
            self._hand_in()

    def _done(self, host: Host, line: str, typed: str) -> str:
        if "node enrol" in line and host.name == BEHIND_A_PROXY:
            line = f"{line} {WORDS_OF_A_PROXY}"
        deadline = monotonic() + PATIENCE_S
        while True:
            done = host.type(line, f"{typed}\n" if typed else "")
            if done.returncode == 0:
                self.say(f"{host.name}$ {line}\n{done.stdout}")
                return done.stdout
            is_tried_again = any(f"wardround {word} " in line for word in TRIED_AGAIN)
            if not is_tried_again or monotonic() > deadline:
                said = done.stdout[-3000:] + done.stderr[-3000:]
                raise WalkError(f"{host.name}$ {line}\nexited with {done.returncode}:\n{said}{self.logs()}")
            sleep(0.5)

    def logs(self) -> str:
        """The end of what programs that run on have said."""
        hosts = [self.coordinator, *self.hospitals.values()]
        paths = [path for host in hosts for path in sorted(host.folder.glob("*.log"))]
        return "".join(f"\n--- {path.parent.name}\n{path.read_text(errors='replace')[-1500:]}" for path in paths)

    def _read_out(self, line: str) -> str:
        """On the telephone: the groups that the other one sees on its own screen."""
        whom = line.partition("--compare ")[2].split()[0]
        asked = "wardround consortium list" if whom == COORDINATOR else "wardround node accept"
        host = self.coordinator if whom == COORDINATOR else self.hospitals[whom]
        screen = host.type(f"{asked} --folder /var/lib/wardround").stdout
        found = {name.strip(): groups for groups, name in GROUPS.findall(screen)}
        if whom not in found:
            raise WalkError(f"{whom} finds no groups of its own to read out in:\n{screen}")
        return found[whom]

    def _write(self, name: str, where: str, text: str) -> None:
        hosts = self.hospitals.values() if where == "in each hospital" else [self.coordinator]
        for host in hosts:
            path = host.own / Path(name).name if name.startswith("/") else host.home / name
            path.write_text(text, encoding="utf-8")

    def _hand_in(self) -> None:
        """Requests go to the coordinator by mail."""
        for host in self.hospitals.values():
            for path in host.own.glob("*.request.json"):
                shutil.copy(path, self.coordinator.home)

    def _hand_out(self) -> None:
        """Replies go to whom they are for, and studies to everybody."""
        for name, host in self.hospitals.items():
            for path in [
                self.coordinator.own / "replies" / f"{name}.reply.json",
                *self.coordinator.home.glob("*.toml"),
            ]:
                if path.is_file():
                    shutil.copy(path, host.home)


@contextmanager
def built(folder: Path, data: Path | None = None, say: Callable[[str], object] = print) -> Iterator[World]:
    """The machines in a folder, with their cases. data: the four files of UCI heart disease, where they are here."""
    _command(folder / "bin")
    with Laboratory.built([COORDINATOR, *HOSPITALS, PROXY], {FRONT: COORDINATOR}) as laboratory:
        hosts = {name: Host(name, folder / name, laboratory) for name in (COORDINATOR, *HOSPITALS)}
        world = World(hosts.pop(COORDINATOR), hosts, say)
        for number, (name, host) in enumerate(hosts.items()):
            rows = _real_rows(data, name) if data else _made_up_rows(number)
            _write_table(host.folder / "srv" / "heart" / f"{name}.csv", rows)
            _write_table(host.home / "new.csv", rows[:3, :-1])
        laboratory.start(PROXY, [sys.executable, __file__, "--proxy", laboratory.addresses[PROXY]])
        laboratory.forbid(BEHIND_A_PROXY, COORDINATOR)
        yield world


def _as_by(name: str, line: str) -> str:
    """Aachen's line as another hospital types it, and what it says of that one, of Aachen."""
    return re.sub(rf"\b({EXAMPLE}|{name})\b", lambda found: EXAMPLE if found[0] == name else name, line)


def _command(folder: Path) -> None:
    """`wardround`, of this checkout."""
    folder.mkdir()
    path = folder / "wardround"
    path.write_text(f'#!/bin/sh\nexport PYTHONPATH="{ROOT}"\nexec "{sys.executable}" -m experiments.cli "$@"\n')
    path.chmod(0o755)


def _real_rows(data: Path, hospital: str) -> np.ndarray:
    lines = (data / f"processed.{CENTRES[hospital]}.data").read_text(encoding="ascii").splitlines()
    rows = [line.split(",") for line in lines]
    wanted = [*KEPT.values(), DIAGNOSIS]
    numbers = [[float(row[column]) for column in wanted] for row in rows if "?" not in (row[one] for one in wanted)]
    found = np.array(numbers[:PATIENTS])
    found[:, -1] = found[:, -1] > 0
    return found


def _made_up_rows(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    age, sex = rng.integers(35, 75, PATIENTS), rng.integers(0, 2, PATIENTS)
    pressure, cholesterol = rng.normal(130, 18, PATIENTS), rng.normal(240, 50, PATIENTS)
    rate, angina = 205 - age + rng.normal(0, 15, PATIENTS), rng.integers(0, 2, PATIENTS)
    risk = (age - 55) / 10 + (pressure - 130) / 20 + angina + rng.normal(0, 1, PATIENTS)
    return np.stack([age, sex, pressure.round(), cholesterol.round(), rate.round(), angina, risk > 0.5], 1).astype(
        float
    )


def _write_table(path: Path, rows: np.ndarray) -> None:
    header = ["person", *KEPT, "disease"][: rows.shape[1] + 1]
    lines = [[f"P{number:04}", *(f"{value:g}" for value in row)] for number, row in enumerate(rows)]
    path.write_text("".join(f"{','.join(line)}\n" for line in [header, *lines]), encoding="utf-8")


def proxy(address: str) -> None:
    """What a hospital's proxy does: tunnels to port 8443 by CONNECT, and nothing else."""
    import socket
    from threading import Thread

    def carry(source: socket.socket, to: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                to.sendall(data)
        except OSError:
            pass
        for end in (source, to):
            end.close()

    def serve(taken: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (data := taken.recv(4096)):
            head += data
        found = re.match(rb"CONNECT ([^ :]+):8443 HTTP/1\.1\r\n", head)
        if found is None:
            taken.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            taken.close()
            return
        far = socket.create_connection((found[1].decode(), 8443))
        taken.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        Thread(target=carry, args=(far, taken), daemon=True).start()
        carry(taken, far)

    def answered(taken: socket.socket) -> None:
        try:
            serve(taken)
        except OSError:
            taken.close()

    with socket.create_server((address, 3128)) as server:
        while True:
            Thread(target=answered, args=(server.accept()[0],), daemon=True).start()


def main(words: list[str] | None = None) -> None:
    """Walk the page in a new folder, and say what of it was left out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="A folder that is not there yet.")
    parser.add_argument("--data", type=Path, help="The folder of UCI heart disease; without it cases are made up.")
    parser.add_argument("--proxy", metavar="ADDRESS", help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.proxy:
        proxy(asked.proxy)
    if asked.out is None:
        parser.error("--out is needed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all machines are taken away again
    asked.out.mkdir(parents=True)
    with built(asked.out.resolve(), asked.data) as world:
        left_out = world.follow(PAGE.read_text(encoding="utf-8"))
        print("Ended:", world.end())
    for one in left_out:
        print(f"Left out: {one}")


if __name__ == "__main__":
    main()
