"""What becomes of a page's commands: each is typed, by default or in the drills, or stands here with a reason.

Patterns are of `page: words`, as `str(Typed)` has it. A command that is new on a page is typed, until it stands here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from tests.pages.page_commands import Typed

DRILLS = os.environ.get("WARDROUND_DRILLS") == "1"


@dataclass(frozen=True)
class Fate:
    """pattern: of commands that are not typed here. why: in words. test: where the same is tried, "" for nowhere."""

    pattern: str
    why: str
    test: str = ""


ELSEWHERE = (
    Fate(
        r"docs/nodes\.md: wardround run heart --engine nodes",
        "processes of this machine",
        "experiments/test_engine_nodes.py",
    ),
    Fate(
        r"docs/nodes\.md: wardround (stop|submit) .*\bF\b",
        "a coordinator's queue",
        "experiments/test_coordinator_jobs.py",
    ),
    Fate(r"docs/nodes\.md: wardround approve .*\bF\b", "a study that waits", "experiments/test_approve_changes.py"),
    Fate(r"docs/nodes\.md: wardround withdraw ", "a hospital's folder", "experiments/test_withdraw.py"),
    Fate(r"docs/nodes\.md: wardround doctor .*\bF$", "a node's folder", "experiments/test_doctor.py"),
    Fate(
        r"docs/nodes\.md: wardround node (accept --folder F|ui)",
        "a reply that came",
        "experiments/test_enrolment_commands.py",
    ),
    Fate(
        r"docs/nodes\.md: (hospital|\w+ --|wardround|cd|cp|install|journalctl|python3|systemctl|useradd|/opt)",
        "four machines; what root alone can is left out",
        "experiments/test_four_hosts.py",
    ),
    Fate(r"docs/story\.md: ", "the whole page is told", "test_story.py"),
    Fate(
        r"docs/surveys\.md: wardround (survey|example) ",
        "all of it is shown, and held",
        "experiments/test_surveys_page.py",
    ),
    Fate(
        r"docs/effects\.md: wardround causal",
        "all of it is shown, and held",
        "experiments/causal/test_effects_in_docs.py",
    ),
    Fate(
        r"docs/anonymity\.md: wardround anonymise ward",
        "all of it is shown, and held",
        "experiments/test_anonymity_in_docs.py",
    ),
    Fate(
        r"docs/own-model\.md: wardround (audit|bench)", "with the page's own files", "experiments/test_own_model.py"
    ),
    Fate(r"docs/scale\.md: (ray|export|RAY_ADDRESS)", "several machines", "experiments/test_ray_cluster.py"),
    Fate(r"docs/pacs\.md: ", "a PACS is needed", "experiments/test_pacs.py"),
    Fate(r"CONTRIBUTING\.md: python docs/site_pages/measured_tables\.py", "writes the page", "test_site.py"),
    Fate(r"docs/analyses\.md: python ", "writes the page", "test_analyses_page.py"),
    Fate(r"docs/conditioning\.md: python ", "writes the page", "experiments/test_conditioning_page.py"),
    Fate(r"docs/pitfalls\.md: python ", "writes the page", "experiments/test_pitfalls.py"),
    Fate(r"docs/metrics\.md: python ", "writes the page", "common/test_metrics_definitions.py"),
    Fate(r"docs/segmentation\.md: python ", "writes the page", "test_segmentation_page.py"),
    Fate(r"docs/surveys\.md: python ", "writes the page", "experiments/test_surveys_page.py"),
    Fate(r"docs/own-data\.md: python ", "lays the archive's images in order", "experiments/test_retina.py"),
    Fate(r": wardround watch |: wardround (node|server) ui ", "serves until Ctrl-C", "experiments/test_pages.py"),
    Fate(
        r"docs/nodes-reference\.md: wardround server (up|front) ",
        "serves until Ctrl-C",
        "experiments/test_coordinator_programs.py",
    ),
    Fate(r"docs/nodes-reference\.md: wardround node run ", "serves until Ctrl-C", "experiments/test_node_command.py"),
    Fate(
        r"docs/asking\.md: .* --coordinator C$",
        "hospitals' nodes are needed, and a coordinator",
        "experiments/test_asking_real_hospitals.py",
    ),
    Fate(r" F/models/STUDY/RUN ", "a model that a coordinator handed to a node", "experiments/test_handed_models.py"),
    Fate(r"make site$", "builds what the tests of the site build", "test_site.py"),
    Fate(r"docs/newcomers_hour\.py", "is played from a built site", "test_site.py"),
    Fate(
        r": wardround new (KIND|operator|augmentation) ",
        "every kind is made, and tried",
        "experiments/test_new_entries.py",
    ),
    Fate(r": wardround test ", "every kind is made, and tried", "experiments/test_new_entries.py"),
    Fate(
        r"CONTRIBUTING\.md: wardround audit RUN --attack FILE", "files of one's own", "experiments/test_own_model.py"
    ),
)
"""Typed, or done, by the test that is named."""
NEVER = (
    Fate(
        r": make (demo|test|install|lock|sbom|wheels)\b", "installs, or asks pip's index, for minutes: a job of CI's"
    ),
    Fate(r": (pip |/opt/|python3 -m venv)|/bin/pip ", "installs"),
    Fate(r": \.venv/bin/(ruff|pytest|mypy)|: WARDROUND_DRILLS=1 \.venv", "is what runs this very test"),
    Fate(r": ([A-Z_]+=\S+ )*wardround bench ", "minutes to hours of measuring; docs/results.md has what came of it"),
    Fate(r": wardround data fetch ", "downloads"),
    Fate(r"docs/results\.md: ", "measured once, with the data sets that are named, for minutes to hours"),
    Fate(r": wardround plan hippocampus ", "the data set is needed, which is downloaded"),
    Fate(r" --device cuda:1$", "a second GPU is needed"),
    Fate(r"docs/explanations\.md: python ", "trains for minutes, to draw the page's pictures"),
)
"""Not typed by any test, for the reason that is said."""
COSTLY = (
    r": wardround run (?!first\.toml --set)",
    r": wardround (audit (?!key)|ablate|probe|explain|withstand|counterfactual|resume|template|export|track|tune) ?",
    r": wardround (plan|ask question|reconstruct (brain|scan\.|kspace)(?!.*coils)|privacy|strain)",
    r": wardround (evaluate MODEL|register|ask (STUDY|\w+\.toml (simpson|aipw))|views (?!pretrain)|segment .*atlas)",
    r": wardround predict RUN (t1|dicom)",
)
"""Typed in the drills alone, WARDROUND_DRILLS=1: they take more than the default tests have time for."""


def fate_of(command: Typed) -> Fate | None:
    """Why it is not typed here; None where it is."""
    return next((one for one in (*ELSEWHERE, *NEVER) if re.search(one.pattern, str(command))), None)


def is_costly(command: Typed) -> bool:
    """Whether it waits for a drill."""
    return any(re.search(pattern, str(command)) for pattern in COSTLY)
