"""Hospitals as they really are, with keys, approvals, policy, log and ledger, and without processes or a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from client.approved_studies import list_json
from client.hospital import close_all
from client.node import Node, load_app
from common.asking.question import Question
from common.files.access import private_folder
from common.files.json_files import read_table
from common.study.study import Study
from experiments.engines._introduced import introduce_all, with_roster
from experiments.engines._local_run import LocalRun
from experiments.engines.inline import _Calls
from server.app import app as server_app
from server.asking.words import write_questions


@dataclass(frozen=True)
class RealHospitals:
    """root: their own folders are in it. data: where each has its own table. policy: of each."""

    root: Path
    data: Mapping[str, Path]
    policy: str = ""

    def folder_of(self, site: str) -> Path:
        """The hospital's own."""
        return self.root / "own" / site

    def approved(self, study: Study) -> Study:
        """The study with their names and keys, which every one of them approves."""
        own = {site: private_folder(self.folder_of(site)) for site in self.data}
        found = with_roster(study, introduce_all(own))
        for place in own.values():
            (place / "policy.toml").write_text(self.policy)
            list_json(found.json, found.title, place)
        return found

    def ask(self, study: Study, name: str, *questions: Question) -> dict[str, Any]:
        """`answer.json` of questions that a coordinator asks in a run of its own."""
        close_all()
        folder, sites = self.root / name, sorted(self.data)
        local = LocalRun.new("inline", sites, folder, False, at_once=1)
        app = load_app("client.app:app")
        nodes = {}
        for index, site in enumerate(sites):
            config = {"site": site, "folder": str(self.folder_of(site)), "data-folder": str(self.data[site])}
            nodes[local.node_id(index)] = Node(app, local.node_id(index), local.run_id, config)
        config = {"study": study.text, "study-name": "asked", "run-folder": str(folder), "hospitals": len(sites)}
        local.serve(server_app, _Calls(nodes), {**config, "questions": write_questions(questions)})
        return read_table(folder, "answer.json", required=True)


def listing(study: Study, *questions: Question) -> Study:
    """The study with these among its [[analyses]]."""
    return replace(study, analyses=tuple(one.entry for one in questions))


def table_of(hospitals: RealHospitals, site: str, name: str) -> Any:
    """A JSON file of a hospital's own."""
    return json.loads((hospitals.folder_of(site) / name).read_text())
