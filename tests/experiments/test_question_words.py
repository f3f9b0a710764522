"""What a hospital's people read of a study's questions before they permit them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from client.hospital import close_all
from experiments.approving.policy_words import policy_sentences
from experiments.approving.question_words import question_sentences, refused_questions
from tests.security.asked_hospital import Asker, mean


def test_every_question_is_said_with_what_it_tells_of_whom_and_how(tmp_path: Path) -> None:
    noisy = {"name": "count", "where": ["age >= 60"], "epsilon": 0.5}
    asker = Asker(tmp_path, [mean(by="sex"), noisy, mean(by="site")])
    said = question_sentences(asker.hospital.study, tmp_path)
    assert said[0] == "It asks 3 questions beside any training."
    assert "'mean chol by sex', of all rows, in groups of sex (f, m, and no group). It tells: " in said[1]
    assert "answered as it is, without noise" in said[1] and "SINGLE" not in said[1]
    assert "of rows with age >= 60" in said[2] and "costs every person here epsilon 0.5." in said[2]
    assert "in groups of hospital. " in said[3] and "SINGLE hospitals" in said[3]
    assert "this hospital's own exact sums" in said[4] and len(said) == 5
    assert question_sentences(replace(asker, listed=()).hospital.study, tmp_path) == ()


def test_small_groups_of_the_hospitals_own_persons_are_counted_for_its_people_alone(tmp_path: Path) -> None:
    asker = Asker(tmp_path, [mean("age >= 75"), mean("age < 50")])
    node = f"site = 'A'\ncoordinator = 'https://front.example:8443'\ndata_folder = '{asker.data}'\n"
    (tmp_path / "folder" / "node.toml").write_text(node)
    said = question_sentences(asker.hospital.study, tmp_path / "folder")[-1]
    assert said == "HERE fewer than 10 persons are in: 5 with age >= 75. Nobody else was told."
    (tmp_path / "folder" / "policy.toml").write_text("questions.least_cell = 3")
    close_all()
    assert "3 persons or more" in question_sentences(asker.hospital.study, tmp_path / "folder")[-1]


def test_whoever_writes_a_study_reads_what_hospitals_will_refuse(tmp_path: Path) -> None:
    study = Asker(tmp_path, [mean(), mean("age >= 60")]).hospital.study
    (said,) = refused_questions(study)
    assert "tell of all rows but those with age >= 60" in said and "List a question of these rows" in said
    assert refused_questions(Asker(tmp_path, [mean(), mean(by="sex")]).hospital.study) == []


def test_the_policy_for_questions_is_said_in_sentences(tmp_path: Path) -> None:
    assert "Questions that no approved study lists are refused (questions.free = false)." in policy_sentences(
        tmp_path
    )
    rules = 'analyses = ["mean"]\n[questions]\nfree = true\nlargest_epsilon = 0.5\nmost = 9\ncolumns = ["age"]\n'
    (tmp_path / "policy.toml").write_text(rules + 'exact = false\nsince = "2031-02-03"\n')
    said = " ".join(policy_sentences(tmp_path))
    for part in ("mean alone", "with noise only", "of epsilon 0.5 at most each", "9 different", "columns age alone"):
        assert part in said
