"""Every rule of a hospital's policy: what breaks it, and that its word says which rule it is and not its value."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from flwr.app import Message

from client.approved_studies import list_study
from client.ledger import Charge, Ledger
from client.node import Config, Node, load_app
from client.policy import POLICY_FILE, Policy, read_limits, read_policy
from client.policy_rules import broken
from client.privacy_limit import LIMIT_FILE
from common.errors import BudgetSpentError, StudyError, UnknownNameError
from common.privacy.release import Release
from common.study.study import Study, parse
from common.sums.exchange import Payload
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.records import from_records, to_records
from common.wire.refusals import ADMISSION, BY_POLICY, FREE_OF_CHARGE, SENTENCES

TEXT = """
title = "Outlined"
rounds = 1
source = { name = "phantom", hospitals = 4, patients = [8], slices_per_patient = 1, size = 16 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 1 } }
strategy = "fedavg"
aggregation = "secagg"
privacy = { name = "dpsgd", epsilon = 2.0, delta = 1e-3 }
"""
PLAIN = ('aggregation="plain"', 'privacy="none"')

ROSTER = "federation.roster=[" + ", ".join(f'{{name="{one}", key="{one * 64}"}}' for one in "abcd") + "]"


def study(*overrides: str) -> Study:
    return parse(TEXT, overrides)


def policy(folder: Path, lines: str) -> Policy:
    (folder / POLICY_FILE).write_text(lines)
    return read_policy(folder)


def words(folder: Path, lines: str, *overrides: str) -> list[str]:
    return [one.word for one in broken(study(*overrides), policy(folder, lines))]


@pytest.mark.parametrize(
    ("lines", "overrides", "expected"),
    [
        ("", (), []),
        ("", PLAIN, []),
        ('tasks = ["segmentation"]', (), []),
        ('tasks = ["classification"]', (), ["tasks"]),
        ("tasks = []", (), ["tasks"]),
        ('strategies = ["fedprox"]', (), ["strategies"]),
        ('strategies = ["fedavg", "fedprox"]', (), []),
        ('networks = ["two_pathway"]', (), ["networks"]),
        ('networks = ["unet"]', (), []),
        ("required_sums = true", (), []),
        ("required_sums = true", PLAIN, ["sums"]),
        ("least_cohort = 4", (ROSTER,), []),
        ("least_cohort = 5", (ROSTER,), ["cohort"]),
        ("least_cohort = 5", (ROSTER, *PLAIN), ["cohort"]),
        ("least_cohort = 4", (ROSTER, "federation.client_fraction=0.75"), ["cohort"]),
        ("least_cohort = 2", (), ["cohort"]),
        ("least_in_sum = 5", (), ["cohort"]),
        ("least_in_sum = 5", PLAIN, []),
        ("own_scores = false", ("federation.evaluate_every=0",), []),
        ("own_scores = false", (), ["scores"]),
        ("own_scores = false", ('privacy="none"',), []),
        ("own_scores = false", PLAIN, ["scores"]),
        ("own_scores = false", ('privacy="none"', "baselines.local=true"), ["scores"]),
        ("required_noise = {}", (), []),
        ("required_noise = {}", ('privacy="none"',), ["noise"]),
        ("required_noise = { epsilon = 2.0, delta = 1e-3 }", (), []),
        ("required_noise = { epsilon = 1.9, delta = 1e-3 }", (), ["noise"]),
        ('required_noise = { unit = "hospital" }', (), ["noise"]),
        ("required_noise = {}", ('privacy.unit="sample"',), ["noise"]),
        ('required_noise = { unit = "sample" }', ('privacy.unit="sample"',), []),
        ("required_noise = {}", ('privacy={name="hospital", epsilon=1.0}',), ["noise"]),
        ("required_noise = { trusts_coordinator = true }", ('privacy={name="hospital", epsilon=1.0}',), []),
        ("required_noise = { noise_multiplier = 1.0 }", ('privacy={name="dpsgd", noise_multiplier=0.9}',), ["noise"]),
        ("required_noise = { noise_multiplier = 0.9 }", ('privacy={name="dpsgd", noise_multiplier=0.9}',), []),
        ("largest_epsilon_a_person = { epsilon = 1.0, delta = 1e-3 }", (), ["person"]),
        ("largest_epsilon_a_person = { epsilon = 2.0, delta = 1e-3 }", (), []),
    ],
)  # fmt: skip
def test_a_rule_is_broken_by_what_it_forbids_and_by_nothing_else(
    tmp_path: Path, lines: str, overrides: tuple[str, ...], expected: list[str]
) -> None:
    assert words(tmp_path, lines, *overrides) == expected


def test_whoever_names_no_hospitals_promises_no_cohort(tmp_path: Path) -> None:
    text = TEXT.replace(
        '"phantom", hospitals = 4, patients = [8], slices_per_patient = 1, size = 16', '"nifti", folder = "x"'
    )
    asked = parse(text, ['federation.roster=[{name="a", key="' + "a" * 64 + '"}]', *PLAIN])
    assert [one.word for one in broken(asked, policy(tmp_path, "least_cohort = 2"))] == ["cohort"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('tasks = ["segmentaton"]', "did you mean 'segmentation'"),
        ('strategies = ["fedprx"]', "did you mean 'fedprox'"),
        ('networks = ["u-net"]', "did you mean 'unet'"),
        ('devices = ["gpu"]', "cpu, cuda, mps"),
        ("required_nose = {}", "did you mean 'required_noise'"),
        ("required_noise = { epsilom = 1.0 }", "did you mean 'epsilon'"),
        ("largest_epsilon_a_person = 3.0", "must be a table"),
        ("required_noise = { epsilon = -1.0 }", "epsilon"),
        ("least_cohort = 0", "least_cohort"),
    ],
)
def test_what_cannot_be_is_said_with_the_nearest_right_word(tmp_path: Path, lines: str, reason: str) -> None:
    with pytest.raises((StudyError, UnknownNameError), match=reason):
        policy(tmp_path, lines)


def test_a_module_of_others_may_be_permitted_by_its_name(tmp_path: Path) -> None:
    assert policy(tmp_path, 'tasks = ["my_hospital.tasks:Bleeding"]').tasks == ("my_hospital.tasks:Bleeding",)


def answer(folder: Path, asked: Study, config: Config) -> Payload:
    node = Node(load_app("client.app:app"), 1, 1, {**config, "folder": str(folder), "site-index": 0})
    identify(1, 1)
    reply = from_bytes(
        node.answer(to_bytes(Message(to_records(Payload(words={"study": asked.json})), 1, "query.hello")))
    )
    return from_records(reply.content, 1 << 20, 1 << 20)


@pytest.mark.parametrize("config", [{}, {"simulated": True}], ids=["deployed", "simulated"])
@pytest.mark.parametrize(
    ("lines", "overrides", "word"),
    [
        ('tasks = ["classification"]', (), "tasks"),
        ("required_sums = true", PLAIN, "sums"),
        ('devices = ["cuda"]', (), "devices"),
        ("own_scores = false", PLAIN, "scores"),
        ("required_noise = { epsilon = 0.5, delta = 1e-3 }", (), "noise"),
        ("required_noise = { epsilon = 1.0, delta = 1e-4 }", (), "noise"),
        ("required_noise = { epsilon = 1.0 }", ('privacy={name="dpsgd", noise_multiplier=0.6}',), "noise"),
    ],
)
def test_a_node_refuses_by_the_rules_word_and_tells_its_own_people_the_value(
    tmp_path: Path, config: Config, lines: str, overrides: tuple[str, ...], word: str
) -> None:
    """An epsilon at another delta, or a noise without one, is worked out from the hospital's own numbers."""
    asked = study(*overrides)
    list_study(asked, tmp_path)
    (tmp_path / POLICY_FILE).write_text(lines)
    assert answer(tmp_path, asked, config).words == {"refused": word}
    rule = lines.partition(" ")[0]
    assert rule in BY_POLICY[word] or word == "noise"
    if not config:
        assert rule in (tmp_path / "refusals.log").read_text()
    (tmp_path / POLICY_FILE).unlink()
    assert answer(tmp_path, asked, config).words["site"]


def test_a_study_that_costs_no_more_than_demanded_is_served(tmp_path: Path) -> None:
    asked = study()
    list_study(asked, tmp_path)
    for epsilon, delta in ((2.0, 1e-3), (2.1, 1e-3), (8.0, 1e-5)):
        (tmp_path / POLICY_FILE).write_text(f"required_noise = {{ epsilon = {epsilon}, delta = {delta} }}")
        assert answer(tmp_path, asked, {}).words["site"]


def test_a_sentence_tells_the_rule_and_no_value() -> None:
    assert not any(character.isdigit() for sentence in ADMISSION.values() for character in sentence)
    assert ADMISSION.items() <= SENTENCES.items() and ADMISSION.items() <= FREE_OF_CHARGE.items()


def test_the_limit_of_a_person_is_the_policys_and_the_older_files_together(tmp_path: Path) -> None:
    policy(tmp_path, "largest_epsilon_a_person = { epsilon = 3.0, delta = 1e-5 }")
    (tmp_path / LIMIT_FILE).write_text("epsilon = 8.0\ndelta = 1e-6\n")
    assert [(one.epsilon, one.delta) for one in read_limits(tmp_path)] == [(3.0, 1e-5), (8.0, 1e-6)]


def steps(releases: Iterable[Release], _: float) -> float:
    """A plain accountant: one a step."""
    return float(sum(release.steps for release in releases))


def test_the_ledger_stops_at_the_policys_limit_and_at_the_older_files_whichever_comes_first(tmp_path: Path) -> None:
    def spend(number: int) -> None:
        charge = Charge("a" * 64, "a", number, "patient", 1e-5, (Release(1.0, 1.0, 1),), ("Ada",))
        Ledger(tmp_path, steps).spend(charge)

    policy(tmp_path, "largest_epsilon_a_person = { epsilon = 2.5, delta = 1e-5 }")
    (tmp_path / LIMIT_FILE).write_text("epsilon = 100.0\ndelta = 1e-5\n")
    spend(1)
    spend(2)
    with pytest.raises(BudgetSpentError):
        spend(3)
    policy(tmp_path, "")
    (tmp_path / LIMIT_FILE).write_text("epsilon = 1.5\ndelta = 1e-5\n")
    with pytest.raises(BudgetSpentError):
        spend(4)
