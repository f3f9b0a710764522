"""What Flower is given to run: the packages of the server and of hospitals, from a checkout or an installed wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

import tomli_w

from common import __version__

PACKAGES = ("server", "client", "common")
ROOT = Path(__file__).parents[2]
SETTINGS = {
    "project": {
        "name": "wardround",
        "version": __version__,
        "description": "Hospitals learn one model together, and their data stays where it is.",
        "license": "Apache-2.0",
    },
    "tool": {
        "flwr": {
            "app": {
                "publisher": "wardround",
                "fab-include": ["server/**", "client/**", "common/**", "experiments/studies/*.toml"],
                "components": {"serverapp": "server.app:app", "clientapp": "client.app:app"},
                "config": {
                    "study": "demo",
                    "study-name": "",
                    "run-folder": "",
                    "hospitals": 0,
                    "sites": "",
                    "resume": False,
                    "accept-changed-data": False,
                    "questions": "",
                    "nodes": False,
                    "signing-folder": "",
                    "node-names": "",
                },
            }
        }
    },
}
"""As in pyproject.toml, which a wheel does not hold, and without what installing needs: nodes install nothing."""


def bundle(app: Path) -> None:
    """What a hospital would be sent, and nothing else of what is installed here."""
    app.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "py.typed")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, app / name, ignore=ignored)
    shutil.copytree(ROOT / "experiments" / "studies", app / "experiments" / "studies")
    (app / "pyproject.toml").write_text(tomli_w.dumps(SETTINGS), encoding="utf-8")
