"""For each page: what it takes for granted beyond the desk, what its gaps stand for here, and what makes it short."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image

from client.approved_studies import digest_of
from client.audit_log import note
from client.waiting_studies import keep_waiting
from common.study.study import parse
from common.sums import identity
from experiments.benchmarks._first_result_dicom import make_dicom
from experiments.benchmarks._first_result_volumes import make_nifti
from tests.experiments.test_approve_changes import TEXT
from tests.experiments.test_evaluate_command import ELSEWHERE, TRAIN, write_table
from tests.own_consortium import found_consortium
from tests.pages.fates import DRILLS
from tests.pages.images import centred_fourier
from tests.pages.page_commands import ROOT
from tests.pages.stand_ins import lay_lgg, lay_xrays, typed

Gap = tuple[str, str, str]
"""A beginning of commands, a word in them, and what stands for it here; the first that fits is taken."""
RUN = "runs/ward/1"
FIRST = "--set rounds=1 --set engine=inline"
SHORT = FIRST + " --set baselines={}"
STEP = SHORT + " --set training.steps=1"
EPOCH = SHORT + " --set training.epochs=1"
FLAT = " --set training.warm_up_steps=0 --set training.schedule.warm_up_rounds=0"
TUNED = STEP + FLAT + " --set fine_tuning.steps=1"
DIGITS = STEP + FLAT + " --set source.patients=[12]"


def nothing(place: Path) -> Sequence[Gap]:
    """The desk is enough."""
    return ()


@dataclass(frozen=True)
class Stage:
    """A page's. lay: writes files into the folder in which it is played; gaps that are known only then.

    more: a beginning of commands, and what is typed after them, so that they take no minutes.
    """

    lay: Callable[[Path], Sequence[Gap]] = nothing
    gaps: Sequence[Gap] = ()
    more: Mapping[str, str] = field(default_factory=dict)


EVERYWHERE = (
    ("", "RUN", RUN),
    ("", "STUDY", "study.toml"),
    ("", "MODEL", RUN),
    ("", "FOLDER", "kept"),
    ("", "/srv/officer", "officer"),
)


def lay_after_the_run(place: Path) -> Sequence[Gap]:
    """Runs of a table and of another time, in the drills of other modalities; studies of hospitals near and far."""
    shutil.copytree(place / RUN, place / "runs" / "other")
    for part, names in (("near", ("Ulm", "Bern", "Graz")), ("far", ("Oslo", "Lund", "Riga"))):
        (place / part).mkdir()
        for number, name in enumerate(names):
            write_table(place / part / f"{name}.csv", number + len(part))
    (place / "far.toml").write_text(ELSEWHERE)
    (place / "near.toml").write_text(TRAIN)
    typed("run", "near.toml", "--folder", "runs/near/1", *FIRST.split())
    shutil.copy(place / "near" / "Ulm.csv", place / "patients.csv")
    (place / "whose.csv").write_text("case,patient\na,p\nb,q\n")
    if DRILLS:
        lay_other_modalities(place)
    return ()


def lay_other_modalities(place: Path) -> None:
    """Runs of two channels and of DICOM series."""
    make_dicom(place / "archive", 3, 16)
    shutil.copytree(place / "archive" / "Lyon", place / "dicom-export")
    make_nifti(place / "channels" / "t1", 3, 16)
    shutil.copytree(place / "channels" / "t1" / "images", place / "channels" / "flair")
    for name in ("t1", "flair"):
        shutil.copy(place / "channels" / "flair" / "case_001.nii.gz", place / f"{name}.nii.gz")
    small = [*FIRST.split(), "--set", 'task.network={name="unet",channels=2,depth=2}', "--set", "source.size=16"]
    archive = blocks("docs/own-data.md", 'title = "Three series a hospital"')
    (place / "archive.toml").write_text(archive)
    (place / "channels.toml").write_text(
        archive.partition("[source]")[0]
        + '[source]\nname = "nifti"\nfolder = "channels"\ntable = "t1/sites.csv"\n'
        + 'classes = ["background", "lesion"]\n'
        + 'images = ["t1/images/{patient}.nii.gz", "flair/{patient}.nii.gz"]\nlabels = "t1/labels/{patient}.nii.gz"\n'
        + '[task]\nname = "segmentation"\n'
    )
    for name in ("archive", "channels"):
        typed("run", f"{name}.toml", "--folder", f"runs/{name}/1", *small)


def lay_answers(place: Path) -> Sequence[Gap]:
    """Of whole cases: answers, truth, and whose they are."""
    for name, column, value in (
        ("answers", "label", lambda at: at % 3 == 0),
        ("truth", "label", lambda at: at % 2 == 0),
        ("whose", "patient", lambda at: at // 2),
    ):
        lines = [f"c{at},{value(at)}" for at in range(12)]
        (place / f"{name}.csv").write_text("\n".join([f"case,{column}", *lines]) + "\n")
    return ()


def lay_release(place: Path) -> Sequence[Gap]:
    """In the drills: a run of a table's patients, and a release of them."""
    if DRILLS:
        recorded = [*STEP.split(), "--set", "federation.record_traffic=true"]
        typed("run", "heart.toml", "--folder", "runs/heart/1", *recorded)
        typed("anonymise", "patients.csv", "-q", "age", "-q", "sex", "--sensitive", "disease")
    return (("wardround audit", "FILE", "patients-k5/release.csv"), ("wardround audit", "RUN", "runs/heart/1"))


def lay_questions(place: Path) -> Sequence[Gap]:
    """`study.toml`: the page's own question of the heart data; in the drills maps that were answered."""
    asked = blocks("docs/asking.md", r"\[\[analyses\]\]\nname = ")
    head = 'title = "Asked"\nsource = "heart"\ntask = { name = "classification", network = "logistic" }\n'
    (place / "study.toml").write_text(head + 'engine = "inline"\n' + asked)
    return lay_maps(place) if DRILLS else ()


def lay_hospital(place: Path) -> Sequence[Gap]:
    """F, a hospital's own folder, with a log and a study that waits; `study.toml`, which was approved before."""
    own, asked = place / "F", parse(TEXT, ["rounds=7"]).json
    for name in ("F", "logged"):
        (place / name).mkdir(mode=0o700)
        identity.create(place / name)
        for leg, size in (("survivors", 1_691), ("unmask", 1_880)) * 3:
            note(
                place / name,
                "answered",
                leg=leg,
                study="39d0e2c4" * 8,
                run="5e" * 16,
                round=1,
                bytes_in=size,
                bytes_out=64,
            )
    shutil.copytree(place / "logged", place / "changed")
    log = place / "changed" / "log.jsonl"
    log.write_text(log.read_text().replace('"round":1', '"round":5', 2).replace('"round":5', '"round":1', 1))
    keep_waiting(asked, own)
    found_consortium("Aorta", place / "C", {"Aachen": place / "Aachen"})
    (place / "study.toml").write_text(TEXT)
    last = json.loads((place / "logged" / "log.jsonl").read_text().splitlines()[-1])["hash"]
    approved = digest_of(parse(TEXT).json)[:12]
    return (
        ("wardround log verify --folder F$", "F", "changed"),
        ("wardround log", "F", "logged"),
        ("wardround approve --revoke", "4430e2b3b9a3", approved),
        ("", "/etc/nginx", "."),
        ("", "4430e2b3b9a3", digest_of(asked)[:12]),
        ("", "7d7291076745d2ab", last),
    )


def lay_agreed(place: Path) -> Sequence[Gap]:
    """A study of real hospitals, which says all that such a study must."""
    (place / "agreed.toml").write_text(TEXT)
    return ()


def lay_private_heart(place: Path) -> Sequence[Gap]:
    """A run that promised epsilon."""
    typed(
        "run",
        "heart",
        "--folder",
        "runs/heart/1",
        *STEP.split(),
        "--set",
        'privacy={name="dpsgd",noise_multiplier=2.0}',
    )
    return ()


def lay_kspace(place: Path) -> Sequence[Gap]:
    """Two slices of eight coils, their sensitivities, and runs that learned to reconstruct and to draw."""
    import h5py

    y, x = np.mgrid[:16, :16] - 7.5
    angles = np.arange(8) * np.pi / 4
    maps = np.exp(
        -((y - 8 * np.sin(angles)[:, None, None]) ** 2 + (x - 8 * np.cos(angles)[:, None, None]) ** 2) / 128
    )
    maps = (maps / np.sqrt((maps**2).sum(0))).astype(np.complex64)
    disc = (200.0 * (x**2 + y**2 < 40)).astype(np.float32)
    with h5py.File(place / "coils.h5", "w") as file:
        file["kspace"] = centred_fourier(np.stack([maps * disc] * 2)) * (np.arange(16) % 3 != 1)
    np.save(place / "maps.npy", maps)
    np.save(place / "holes.npy", np.load(place / "scan.npy") * (np.random.default_rng(9).random((32, 32)) < 0.7))
    return ()


def lay_institutions(place: Path) -> Sequence[Gap]:
    """As lay_kspace, and LGG's four institutions."""
    lay_lgg(place / "data" / "lgg-mri-5site")
    if DRILLS:
        where = ["--set", "source.folder=data/lgg-mri-5site"]
        typed("run", "mri", "--folder", "runs/mri/1", *TUNED.split(), *where)
    return lay_kspace(place)


def lay_photos(place: Path) -> Sequence[Gap]:
    """The retina's photographs, and a study whose network is to be planned."""
    if DRILLS:
        runpy.run_path(str(ROOT / "docs" / "retina_images.py"))["write"](place / "photos" / "retina", 5, 32)
    text = (place / "study.toml").read_text()
    (place / "auto.toml").write_text(re.sub(r"network = \{.*?\}", 'network = "auto"', text))
    return ()


def lay_digits(place: Path) -> Sequence[Gap]:
    """Four digits, and what is known of them."""
    images = np.zeros((4, 1, 28, 28), np.float32)
    images[:, :, 4:24, 12:16] = 0.8
    np.savez(place / "mine.npz", images=images, causes=np.float32([[3, 200]] * 4))
    return ()


def lay_other_run(place: Path) -> Sequence[Gap]:
    """X-rays, a run of another time, and a study of elsewhere."""
    shutil.copytree(place / RUN, place / "runs" / "other")
    shutil.copy(place / "study.toml", place / "elsewhere.toml")
    return lay_xrays_here(place)


def lay_maps(place: Path) -> Sequence[Gap]:
    """X-rays; a run of them, a study that begins from it, and what its hospitals answered; a run of a table."""
    lay_xrays_here(place)
    recorded = [*EPOCH.split(), "--set", "federation.record_traffic=true"]
    typed("run", "pneumonia", "--folder", "runs/pneumonia/1", *recorded)
    study = (ROOT / "experiments" / "studies" / "pneumonia.toml").read_text(encoding="utf-8")
    (place / "maps.toml").write_text(f'{study}\n[start]\nmodel = "runs/pneumonia/1"\n')
    maps = ["attribution_maps", "--option", "side=7", "--engine", "inline"]
    typed("ask", "maps.toml", *maps, "--folder", "answered")
    typed("run", "heart", "--folder", "runs/heart/1", *STEP.split())
    return ()


def lay_unlabelled(place: Path) -> Sequence[Gap]:
    """X-rays, also as the page's own study has them, `study.toml`."""
    rng = np.random.default_rng(8)
    for site in "AB":
        for person in range(8):
            folder = place / "xrays" / site / f"p{person}"
            folder.mkdir(parents=True)
            PIL.Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).save(folder / "1.png")
    (place / "study.toml").write_text(blocks("docs/selfsupervision.md", 'title = "Our X-rays'))
    if DRILLS:
        lay_lgg(place / "data" / "lgg-mri-5site")
    return lay_xrays_here(place)


def lay_xrays_here(place: Path) -> Sequence[Gap]:
    """X-rays."""
    lay_xrays(place / "data" / "pneumoniamnist")
    return ()


def blocks(page: str, begin: str) -> str:
    """The first block of TOML that begins so."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.search(rf"^```toml\n({begin}.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None, (page, begin)
    return found[1]


STAGES: Mapping[str, Stage] = {
    "README.md": Stage(
        more={
            "wardround run first.toml": "--set engine=inline",
            "wardround run heart": STEP,
            "wardround audit RUN": "--seconds 1",
            "wardround audit heart": STEP + " --seconds 1",
        }
    ),
    "docs/after-the-run.md": Stage(
        lay_after_the_run,
        (
            ("wardround predict RUN t1", "RUN", "runs/channels/1"),
            ("wardround predict RUN t1", "answers", "answers-4"),
            ("wardround predict RUN dicom", "RUN", "runs/archive/1"),
            ("wardround predict RUN dicom", "answers", "answers-5"),
            ("wardround predict runs/my-study", "runs/my-study/2026-11-26T19-38-21", RUN),
            ("wardround predict RUN new", "answers", "answers-2"),
            ("wardround predict RUN pat", "RUN", "runs/near/1"),
            ("wardround predict RUN pat", "answers", "answers-3"),
            ("wardround tune", "STUDY", "near.toml"),
            ("wardround evaluate runs/near", "runs/near/2026-11-26T10-00-00", "runs/near/1"),
            ("wardround evaluate MODEL", "MODEL STUDY", "runs/near/1 near.toml"),
            ("wardround compare", "RUN RUN", f"{RUN} runs/other"),
        ),
        {"wardround tune": FIRST},
    ),
    "docs/anonymity.md": Stage(
        lay_release,
        (("wardround anonymise TABLE", "TABLE", "patients.csv"),),
        {"wardround audit": "--seconds 1"},
    ),
    "docs/asking.md": Stage(
        lay_questions,
        (("wardround audit", "RUN", "runs/pneumonia/1"), ("wardround audit", "FOLDER", "answered")),
        {"wardround audit": "--seconds 1"},
    ),
    "docs/consent.md": Stage(gaps=(("", "PERSON", "case_001"), ("", "/srv/hospital", f"{RUN}/hospitals/Bergen"))),
    "docs/counterfactuals.md": Stage(
        lay_digits,
        (("wardround counterfactual RUN", "RUN", "runs/morpho/..."),),
        {"wardround run": DIGITS},
    ),
    "docs/explanations.md": Stage(
        lay_maps,
        (
            ("wardround ask", "STUDY", "maps.toml"),
            ("wardround ablate RUN", "RUN", "runs/heart/1"),
            ("wardround explain RUN --by", "RUN", "runs/pneumonia/1"),
            ("wardround audit", "RUN", "runs/pneumonia/1"),
            ("", "FOLDER", "answered"),
            ("wardround explain RUN --by", "answered/", "answered"),
        ),
        {
            "wardround explain": "--seconds 5",
            "wardround ablate pneumonia": "--seeds 1 --grid 2 " + EPOCH,
            "wardround audit": "--seconds 1",
        },
    ),
    "docs/index.md": Stage(
        more={"wardround run first.toml": "--set engine=inline", "wardround run demo": "--set training.steps=1"}
    ),
    "docs/metrics.md": Stage(
        lay_answers,
        (
            ("wardround metrics PRED", "PREDICTION TRUTH", "predicted/a.nii.gz true/a.nii.gz"),
            ("wardround metrics IMAGES", "IMAGES TRUTHS", "images true"),
        ),
    ),
    "docs/nodes-reference.md": Stage(lay_hospital, more={"wardround approve 4": "--yes"}),
    "docs/own-data.md": Stage(
        lay_photos,
        (
            ("wardround plan study.toml", "study.toml", "auto.toml"),
            ("wardround ask question", "--coordinator C", "--engine inline"),
            ("wardround plan study.toml --answer", ".../answer.json", "runs/question-asked/.../answer.json"),
        ),
        {"wardround run retina": STEP},
    ),
    "docs/protection.md": Stage(
        lay_agreed,
        (
            ("wardround approve", "study.toml", "agreed.toml"),
            ("wardround withdraw", "P017", "case_001"),
            ("", "/srv/hospital", f"{RUN}/hospitals/Bergen"),
        ),
        {"wardround run heart": STEP, "wardround audit": "--seconds 1"},
    ),
    "docs/protections/dpsgd.md": Stage(lay_private_heart, (("wardround privacy ledger", "RUN", "runs/heart/1"),)),
    "docs/reconstruction.md": Stage(
        lay_institutions,
        (
            ("wardround reconstruct scan.h5", "scan.h5", "coils.h5"),
            ("wardround reconstruct scan.npy --operator", "scan.npy", "holes.npy"),
            ("wardround reconstruct scan.npy --run", "scan.npy", "kspace.npy"),
            ("wardround reconstruct scan.npy --run", "runs/mri/2026-05-01", "runs/mri/..."),
            ("", "runs/GENERATOR", "runs/phantom_prior/..."),
            ("wardround metrics", "IMAGES TRUTHS", "images true"),
            ("", "source.folder=...", "source.folder=data/lgg-mri-5site"),
        ),
        {
            **dict.fromkeys([f"wardround run {study}" for study in ("mri ", "phantom", "ct", "superr")], TUNED),
            "wardround run mri_elsewhere": "--set engine=inline",
        },
    ),
    "docs/selfsupervision.md": Stage(
        lay_unlabelled,
        (
            ("wardround views study.toml --set", "/data/own", "xrays"),
            ("wardround probe", "RUN", "runs/pretrain_pneumonia/..."),
            ("", "source.folder=...", "source.folder=data/lgg-mri-5site"),
        ),
        {
            "wardround run pretrain_p": EPOCH + FLAT,
            "wardround run pretrain_l": EPOCH,
            "wardround run fine": EPOCH,
            "wardround probe runs/pretrain_pneumonia/NEWEST": "--folder probed",
            "wardround probe RUN --scratch": "--rounds 1",
            "wardround audit": "--seconds 1",
        },
    ),
    "docs/studies.md": Stage(more={"wardround run": STEP, "wardround tune": FIRST + " --set split.validation=0.34"}),
    "docs/withstanding.md": Stage(
        lay_other_run,
        (("", "runs/demo/NEWEST", RUN), ("", "OTHER", "runs/other")),
        {
            "wardround withstand": "--seconds 5",
            "wardround run": EPOCH + " --set task.plain_rounds=0 --set task.grows_over=0",
        },
    ),
}
