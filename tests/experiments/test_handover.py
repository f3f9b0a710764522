"""What is handed to a machine: services that systemd takes and finds closed, and files without a sign left."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.errors import FileError, StudyError
from experiments.cli import cli
from experiments.handover.files import Places, filled, write_files
from tests.ended import ended

MOST_EXPOSED = 3.0
NODE = Places(Path("/var/lib/wardround"), "daemon", "/srv/heart")
SERVER = Places(Path("/var/lib/wardround"), "daemon")
every_role = pytest.mark.parametrize(("role", "places"), [("node", NODE), ("server", SERVER)])
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
needs_compose = pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not here")


def service(tmp_path, role, places):
    """Its program is one that is there on any machine: systemd looks for it."""
    text = filled(role, places)[f"wardround-{role}.service"]
    path = tmp_path / f"wardround-{role}.service"
    path.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))
    return path


@every_role
def test_no_sign_waits_to_be_filled_in(role, places):
    for name, text in filled(role, places).items():
        assert not re.search(r"@[A-Z_]+@", text), name


@every_role
@needs_systemd
def test_systemd_takes_the_service_without_a_word(tmp_path, role, places):
    done = ended(["systemd-analyze", "verify", service(tmp_path, role, places)])
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@every_role
@needs_systemd
@pytest.mark.parametrize("port", [8443, 443])
def test_systemd_finds_the_service_closed(tmp_path, role, places, port):
    path = service(tmp_path, role, Places(places.folder, places.user, places.data, port))
    done = ended(["systemd-analyze", "security", "--offline=true", "--no-pager", path])
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None and float(found[1]) <= MOST_EXPOSED


@every_role
@needs_compose
def test_compose_takes_the_file(tmp_path, role, places):
    (tmp_path / "compose.yaml").write_text(filled(role, places)["compose.yaml"])
    done = ended(
        ["docker-compose", "--file", tmp_path / "compose.yaml", "config"],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    )
    assert done.returncode == 0, done.stderr
    assert "cap_drop" in done.stdout and "8443" in done.stdout * (role == "server") + "8443" * (role == "node")


def test_a_node_reads_its_data_and_writes_in_its_folder_alone():
    text = filled("node", NODE)["wardround-node.service"]
    assert "ReadWritePaths=/var/lib/wardround\n" in text and "ReadOnlyPaths=/srv/heart\n" in text
    without = filled("node", SERVER)
    assert "ReadOnlyPaths" not in without["wardround-node.service"] and "/data:ro" not in without["compose.yaml"]


def test_a_port_below_1024_takes_one_capability_and_no_other_does():
    low = Places(Path("/var/lib/wardround"), port=443)
    assert "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n" in filled("server", low)["wardround-server.service"]
    assert "CapabilityBoundingSet=\n" in filled("server", SERVER)["wardround-server.service"]


def test_a_refusal_that_lasts_is_not_tried_for_ever():
    for role in ("node", "server"):
        assert "RestartPreventExitStatus=78\n" in filled(role, NODE)[f"wardround-{role}.service"]


def test_the_processor_is_not_hidden_from_a_node_since_other_instructions_give_other_bits():
    assert "ProcSubset" not in filled("node", NODE)["wardround-node.service"]


def test_a_gpu_is_let_in_where_the_node_computes_on_one():
    with_gpu = filled("node", Places(Path("/var/lib/wardround"), devices=True))
    assert "DeviceAllow=char-nvidia* rw\n" in with_gpu["wardround-node.service"]
    assert "capabilities: [gpu]" in with_gpu["compose.yaml"]
    assert "nvidia" not in "".join(filled("node", NODE).values())


def node_folder(tmp_path, data="/srv/heart", policy=""):
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / "node.toml").write_text(
        f'site = "Ulm"\ncoordinator = "https://front.example:8443"\ndata_folder = "{data}"'
    )
    (folder / "policy.toml").write_text(policy)
    return folder


def ran(*words):
    return CliRunner().invoke(cli, [*map(str, words)])


def test_files_of_a_node_are_filled_in_from_its_own_settings(tmp_path):
    folder = node_folder(tmp_path, policy='device = "cuda:1"')
    said = ran("node", "files", "--folder", folder, "--user", "daemon", "--memory", "16G")
    assert said.exit_code == 0, said.output
    text = (folder / "files" / "wardround-node.service").read_text()
    for line in (f"ReadWritePaths={folder}", "ReadOnlyPaths=/srv/heart", "User=daemon", "MemoryMax=16G"):
        assert f"\n{line}\n" in text
    assert "PrivateDevices=no\n" in text and "systemctl enable --now wardround-node" in said.output
    assert '"/srv/heart:/srv/heart:ro"' in (folder / "files" / "compose.yaml").read_text()


@pytest.mark.parametrize("data", ["", "cases", "../node/cases"])
def test_data_in_the_folder_itself_need_no_line_of_their_own(tmp_path, data):
    folder = node_folder(tmp_path, data)
    said = ran("node", "files", "--folder", folder, "--into", tmp_path / "out")
    assert "computes on the CPU" in said.output
    assert "ReadOnlyPaths" not in (tmp_path / "out" / "wardround-node.service").read_text()


def test_files_of_the_coordinator_have_the_fronts_port(tmp_path):
    folder = tmp_path / "coordinator"
    assert ran("consortium", "create", "Aorta", "--folder", folder, "--host", "h", "--port", 443).exit_code == 0
    assert ran("server", "files", "--folder", folder, "--into", tmp_path / "out").exit_code == 0
    assert '"443:443"' in (tmp_path / "out" / "compose.yaml").read_text()
    assert "PrivateUsers=no\n" in (tmp_path / "out" / "wardround-server.service").read_text()


def test_a_folder_that_is_not_the_partys_is_refused(tmp_path):
    for role, reason in (("node", "node.toml"), ("server", "holds no server.toml")):
        refused = ran(role, "files", "--folder", tmp_path)
        assert refused.exit_code == 1 and reason in refused.output
    folder = node_folder(tmp_path)
    assert "memory must be a number" in ran("node", "files", "--folder", folder, "--memory", "lots").output
    assert ran("node", "files", "--folder", folder).exit_code == 0
    assert "nothing was written" in ran("node", "files", "--folder", folder).output.replace("\n", " ")


def test_nothing_is_written_over(tmp_path):
    assert {one.name for one in write_files("node", NODE, tmp_path / "files")} == {
        "wardround-node.service",
        "compose.yaml",
        "Containerfile",
    }
    with pytest.raises(FileError, match="is there already; nothing was written"):
        write_files("node", NODE, tmp_path / "files")


@pytest.mark.parametrize("word", ["/srv/my data", "/srv/%h", '/srv/"x"', "/srv\nExecStart=/bin/sh", "/a:/b", "/a\\b"])
def test_a_path_that_systemd_or_compose_would_read_otherwise_is_refused(word):
    with pytest.raises(StudyError, match="must be written without"):
        Places(Path("/var/lib/wardround"), data=word)
