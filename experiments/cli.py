"""The `wardround` command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from common import __version__, files
from common.catalogue import AGGREGATIONS, MECHANISMS, NETWORKS, PARTITIONS, SOURCES, STRATEGIES, TASKS, Catalogue
from common.errors import StudyError, WardroundError
from common.plugins import ANYTHING, Trust, trusting
from common.spelling import unknown
from experiments.catalogue import ATTACKS, BENCHMARKS, ENGINES

STUDIES = Path(__file__).parent / "studies"
KINDS: dict[str, Catalogue] = {
    "tasks": TASKS,
    "networks": NETWORKS,
    "sources": SOURCES,
    "partitions": PARTITIONS,
    "strategies": STRATEGIES,
    "aggregations": AGGREGATIONS,
    "mechanisms": MECHANISMS,
    "engines": ENGINES,
    "attacks": ATTACKS,
    "benchmarks": BENCHMARKS,
}
SIGNALLED = 128
"""And the number of the signal: what shells say of a program that one has ended."""
PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
NOT_OURS = Trust(
    remedy="A run folder may come from anybody; reading it runs no code: add --trust-code if you know who made it."
)
TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", help="Run the plug-ins that the folder's study names: code of whoever made it."),
]

EXIT_CODES = (
    "Exit codes:  0 all went well; 1 it failed, or was refused; 2 the command was not understood; 3 the run came to "
    "its end, and a hospital, a round's reply or a step after the rounds was lost on the way; 130 after Ctrl-C, "
    "143 after SIGTERM."
)

cli = typer.Typer(
    help="Hospitals learn one model together; their data stays where it is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="Begin with:  wardround run demo\n\n\n\n" + EXIT_CODES,
)
data = typer.Typer(help="Data sets: what can be fetched, and from where.", no_args_is_help=True)
cli.add_typer(data, name="data")
privacy = typer.Typer(help="Privacy: what a study will cost, and what studies have cost.", no_args_is_help=True)
cli.add_typer(privacy, name="privacy")


@cli.callback()
def begin() -> None:
    """Hospitals learn one model together; their data stays where it is."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no sign for a letter shows another
    files.keep_private()  # what a command writes, and what it starts writes, may show patients


console = Console()
complaints = Console(stderr=True)


@contextmanager
def spoken_errors() -> Iterator[None]:
    """Say an expected error in one line, and exit with 1; a traceback is for defects only."""
    from experiments.engines._interrupt import interrupting_signals

    try:
        with interrupting_signals():
            yield
    except WardroundError as error:
        complaints.print(f"[bold red]{type(error).__name__.removesuffix('Error')}:[/] ", end="")
        complaints.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt as error:
        with suppress(OSError):  # its terminal may be gone
            complaints.print("Interrupted; every process was ended, and the run folder can be used and resumed.")
        raise typer.Exit(SIGNALLED + getattr(error, "number", signal.SIGINT)) from None


def code_of_folder(trusted: bool) -> Trust:
    """What a command that reads a run folder may import: plug-ins where its user says so."""
    return ANYTHING if trusted else NOT_OURS


@cli.command()
def run(
    study: Annotated[str, typer.Argument(help="A shipped study's name (see `wardround list`) or a TOML file.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting: --set training.epochs=2 --set strategy=fedadam. Repeatable."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="inline, processes or simulation; short for --set engine=.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Run folder; runs/<study>/<time> if not given.")] = None,
) -> None:
    """Run a study: one process a hospital, a live table, and a report at the end.

    Exits with 3 where the run came to its end and lost a hospital, a round's reply or a step on the way: its last
    lines, summary.json and the report say which and why. Cases that could not be used are said too, and exit with 0.
    """
    with spoken_errors(), trusting(ANYTHING):
        from common.study import parse
        from experiments.places import with_whole_folder
        from server.app import new_default_folder

        text, name = read_study(study)
        overrides = [*(set_ or []), *([f"engine={engine}"] if engine else [])]
        checked = with_whole_folder(parse(text, overrides, beside(study)), Path(study))
        _run(checked, name, folder or new_default_folder(name), resume=False)


@cli.command()
def resume(
    folder: Annotated[Path, typer.Argument(help="A run folder that stopped before its last round.")],
    trust_code: TrustCode = False,
    accept_changed_data: Annotated[
        bool,
        typer.Option(
            "--accept-changed-data",
            help="Go on though patients came or left: whoever trained stays in training, and the report says so.",
        ),
    ] = False,
) -> None:
    """Go on with a run that stopped, from its last finished round."""
    with spoken_errors(), trusting(code_of_folder(trust_code)):
        from common.study import parse

        if not files.is_there(folder, "study.toml"):
            raise StudyError(f"{folder} holds no study.toml: it is not a run folder.")
        study = parse(_valid(files.read_text(folder, "study.toml"), folder / "study.toml"))
        _run(study, folder.resolve().parent.name, folder, resume=True, accepts=accept_changed_data)


def _run(study: object, name: str, folder: Path, resume: bool, accepts: bool = False) -> None:
    from common.study import Study
    from experiments.live_table import LiveTable
    from experiments.running import run_study
    from experiments.spoken_losses import last_lines, lost_lines
    from server.app import progress

    assert isinstance(study, Study)
    table, before = LiveTable(console, folder), _about(folder)
    try:
        with table:
            progress.subscribe(table)
            report_path = run_study(study, name, folder, resume, accepts)
    except WardroundError:
        if not table.has_heard and _about(folder) != before:  # it ran elsewhere
            _say(lost_lines(folder))
        raise
    finally:
        progress.unsubscribe(table)
    lines, code = last_lines(folder)
    _say(lines)
    _say([f"Report: {report_path.resolve()}"])
    if code:
        raise typer.Exit(code)


def _about(folder: Path) -> str:
    return files.read_text(folder, "about.json") if files.is_there(folder, "about.json") else ""


def _say(lines: list[str]) -> None:
    from experiments.run_words import writable

    for line in lines:
        console.print(writable(line, console.encoding), markup=False, highlight=False, soft_wrap=True)


@cli.command()
def check(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
) -> None:
    """Check a study whole, without running it: every setting, who is in a sum, and whom its hospitals trust."""
    with spoken_errors(), trusting(ANYTHING):
        from common.study import parse
        from experiments.places import with_whole_folder
        from experiments.study_view import study_facts

        checked = with_whole_folder(parse(read_study(study)[0], set_ or [], beside(study)), Path(study))
        console.print(checked.text, markup=False, highlight=False)
        for fact in study_facts(checked):
            console.print(f"# {fact}", markup=False, highlight=False, soft_wrap=True)


@cli.command()
def approve(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    folder: Annotated[Path, typer.Argument(help="The hospital's own folder, as in its node's configuration.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a setting, as for run.")] = None,
    rewind_to: Annotated[
        int | None, typer.Option(help="Let its runs go on after this round once more, from a restored backup.")
    ] = None,
) -> None:
    """In a hospital: agree to a study, every setting of it. A deployed hospital serves no other.

    This binds the hospital's own program. Flower as it stands runs whatever program the coordinator sends; see the
    README's section on what Wardround does not do.
    """
    with spoken_errors():
        from experiments.approval_command import approve_study

        approve_study(read_study(study)[0], set_ or [], folder, console, rewind_to)


@cli.command()
def withdraw(
    folder: Annotated[Path, typer.Option(help="The hospital's own folder, as in its node's configuration.")],
    person: Annotated[str, typer.Argument(help="The person's name, as the data write it.")] = "",
    study: Annotated[str, typer.Option(help="A study, to compare the name with its data.")] = "",
    data_folder: Annotated[Path | None, typer.Option(help="Where these data are, if not where it says.")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also a name that nobody here has.")] = False,
    again_consented: Annotated[
        bool, typer.Option("--again-consented", help="The person has given a new consent: strike them off.")
    ] = False,
    list_all: Annotated[bool, typer.Option("--list", help="Say who withdrew, and when.")] = False,
) -> None:
    """In a hospital: take a person out of all studies, from the next round on. What models have learned stays."""
    with spoken_errors():
        from experiments.withdraw_command import carry_out

        text = read_study(study)[0] if study else None
        carry_out(person, folder, console, text, data_folder, anyway, again_consented, list_all)


@cli.command("list")
def list_(
    kind: Annotated[str | None, typer.Argument(help="studies, tasks, strategies, ...; all if not given.")] = None,
) -> None:
    """List studies and everything a study can name, one line each."""
    with spoken_errors():
        if kind is not None and kind not in {"studies", *KINDS}:
            raise unknown("kind", kind, {"studies", *KINDS})
        for title in [kind] if kind else ["studies", *KINDS]:
            table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
            table.add_column(style="bold", no_wrap=True)
            table.add_column()
            for name, summary in _entries(title):
                table.add_row(name, summary)
            console.print(table)


def _entries(kind: str) -> Iterator[tuple[str, str]]:
    if kind != "studies":
        catalogue = KINDS[kind]
        spelled = {n: n.replace("_", "-") if kind == "benchmarks" else n for n in catalogue.names()}
        yield from ((shown, catalogue.summary(name)) for name, shown in spelled.items())
        yield from ((name, f"Plug-in {value}.") for name, value in catalogue.plugged().items())
        return
    import tomllib

    for path in sorted(STUDIES.glob("*.toml")):
        yield path.stem, str(tomllib.loads(path.read_text(encoding="utf-8")).get("title", ""))


@cli.command()
def report(folder: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Write a run's report.html again from its files."""
    with spoken_errors():
        from server.report import write_report

        if not files.is_there(folder, "about.json"):
            raise StudyError(f"{folder} holds no about.json: it is not a run folder.")
        console.print(str(write_report(folder).resolve()), soft_wrap=True)


@cli.command()
def bench(
    name: Annotated[str, typer.Argument(help="A benchmark's name (see `wardround list benchmarks`).")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write rows and targets here too.")] = None,
    peers_python: Annotated[
        str | None,
        typer.Option(help=f"A Python that has the programs to compare with; else {PEERS_PYTHON} names it."),
    ] = None,
) -> None:
    """Run a benchmark and print its table; exits 0 when it could measure, whatever came out."""
    with spoken_errors():
        if peers_python is not None:
            os.environ[PEERS_PYTHON] = peers_python
        from experiments.benchmark import show

        files.demand_writable(json_file)
        measure: Callable[[Console], object] = BENCHMARKS.load(name.replace("-", "_"))
        show(measure(console), console, json_file)  # type: ignore[arg-type]


@cli.command()
def metrics(
    prediction: Annotated[Path, typer.Argument(help="A NIfTI label map, or a folder of them.")],
    truth: Annotated[Path, typer.Argument(help="The true one, or a folder with files of the same names.")],
    tolerance: Annotated[float, typer.Option(help="Of surface Dice, in mm.")] = 1.0,
    surface: Annotated[
        str, typer.Option(help="Outlines as voxels of the border, or as elements that count by length or area.")
    ] = "voxels",
    label: Annotated[list[int] | None, typer.Option(help="Measure this label; all but 0 if none is given.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the table here too.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table here too.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Write a page here that shows where the errors lie.")] = None,
) -> None:
    """Compare predicted with true outlines: overlap and distances in mm, label by label."""
    with spoken_errors():
        from experiments.metrics_command import compare

        files.demand_writable(csv_file, json_file, figure)
        compare(prediction, truth, console, tolerance, label, csv_file, json_file, figure, surface)


@cli.command()
def register(
    moving: Annotated[Path, typer.Argument(help="The NIfTI file to bring over.")],
    fixed: Annotated[Path, typer.Argument(help="The NIfTI file to bring it onto.")],
    transform: Annotated[
        str, typer.Option(help="rigid, similarity, affine, bspline, displacement or velocity.")
    ] = "affine",
    similarity: Annotated[str, typer.Option(help="ssd, sad, cc, local_cc, mi, nmi or cr.")] = "cc",
    starts: Annotated[int, typer.Option(help="Rotations to begin from; more are tried in doubt.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the random places.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the moving image on the fixed lattice here.")] = None,
    transform_out: Annotated[
        Path | None, typer.Option(help="Write the transform here for ITK: .tfm, or .nii.gz of displacements.")
    ] = None,
    outside: Annotated[
        float | None,
        typer.Option(help="What --out holds beyond the moving image; its least value if not given: air, in CT too."),
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Write a page of checkerboards and differences here.")] = None,
) -> None:
    """Register one image to another: the transform, the resampled image, and how it went.

    Exits with 1 where the search has probably failed, and says why in its first lines; what was found is written.
    """
    with spoken_errors():
        from experiments.registration_cli import align

        files.demand_writable(out, transform_out, pictures)
        if not align(
            moving, fixed, console, transform, similarity, starts, seed, out, transform_out, pictures, outside
        ):
            raise typer.Exit(1)


@cli.command()
def audit(
    run: Annotated[str, typer.Argument(help="A finished run's folder; with --matrix a study.")],
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Run the study under every protection, attack each, and compare.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="For all attacks on a run; else as the study says.")] = None,
    pictures: Annotated[bool, typer.Option(help="Show patients' data beside what came back of it.")] = True,
    poisoning: Annotated[
        bool, typer.Option("--poisoning", help="Also run small federations with a hospital that poisons.")
    ] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="With --matrix: override a setting.")] = None,
    folder: Annotated[Path | None, typer.Option(help="With --matrix: where the runs go.")] = None,
    trust_code: TrustCode = False,
) -> None:
    """Attack what crossed the wire in a simulated run, and write the report a privacy officer can sign."""
    with spoken_errors(), trusting(code_of_folder(matrix or trust_code)):
        from common.study import parse
        from experiments import audit_command
        from experiments.audit.conduct import Effort
        from experiments.places import with_whole_folder
        from server.app import new_default_folder

        effort = Effort(seconds, pictures, poisoning)
        if matrix:
            text, name = read_study(run)
            place = folder or new_default_folder(f"{name}-matrix")
            checked = with_whole_folder(parse(text, set_ or [], beside(run)), Path(run))
            path = audit_command.audit_protections(checked, name, place, effort, console)
        else:
            path = audit_command.audit(Path(run), effort, console)
        console.print(f"Report: [bold]{path.resolve()}[/]", soft_wrap=True)


@data.command("list")
def data_list() -> None:
    """Name the data sets, where they come from and under which licence."""
    with spoken_errors():
        from experiments.datasets import describe

        for line in describe():
            console.print(line, highlight=False, markup=False, soft_wrap=True)


@data.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="A data set's name (see `wardround data list`).")],
    folder: Annotated[Path, typer.Option(help="Where data sets are kept.")] = Path("data"),
) -> None:
    """Download a data set from its official home, checked against a pinned digest, resumable."""
    with spoken_errors():
        from experiments.datasets import fetch_with_progress

        console.print(fetch_with_progress(name, folder, console), highlight=False, markup=False)


@privacy.command("plan")
def privacy_plan(
    study: Annotated[str, typer.Argument(help="A shipped study's name or a TOML file.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: --set privacy.epsilon=1. Repeatable.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the plan here too.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write epsilon against rounds here, as SVG.")] = None,
) -> None:
    """Say what a study's privacy will cost in every hospital, without training: epsilon, or the noise for it."""
    with spoken_errors(), trusting(ANYTHING):
        from common.study import parse
        from experiments.places import with_whole_folder
        from experiments.privacy_cli import show_plan

        files.demand_writable(json_file, plot)
        checked = with_whole_folder(parse(read_study(study)[0], set_ or [], beside(study)), Path(study))
        show_plan(checked, console, json_file, plot)


@privacy.command("ledger")
def privacy_ledger(
    folder: Annotated[Path, typer.Argument(help="A hospital's own folder, or a run folder for all its hospitals.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")] = None,
) -> None:
    """Say what every study has spent on a hospital's patients; exits 1 where a ledger is not as it was written.

    Not noticed: an older copy of the whole ledger put back, all of its files gone, or entries of one who has its key.
    """
    with spoken_errors():
        from experiments.ledger_command import show_ledgers

        files.demand_writable(json_file)
        if not show_ledgers(folder, console, json_file):
            raise typer.Exit(1)


@cli.command()
def version() -> None:
    """Print the version."""
    console.print(__version__)


def read_study(study: str) -> tuple[str, str]:
    """Text and name of a study: a TOML file's path, or a shipped study's name."""
    path = Path(study)
    if path.suffix == ".toml":
        if not path.exists():
            raise StudyError(f"there is no file {path}.")
        return _valid(files.read_all_text(path), path), path.stem
    shipped = {shipped.stem: shipped for shipped in STUDIES.glob("*.toml")}
    if study not in shipped:
        raise unknown("study", study, shipped)
    return shipped[study].read_text(encoding="utf-8"), study


def beside(study: str) -> Path | None:
    """The folder of a study's file, where relative paths of its plug-ins begin."""
    return Path(study).parent if Path(study).suffix == ".toml" else None


def _valid(text: str, path: Path) -> str:
    """The text, if it is TOML. Raises StudyError that names the file, the line and the column."""
    import tomllib

    if not text.strip():
        raise StudyError(f"{path} is empty.")
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path} is not valid TOML: {str(error)[:200]}") from error
    return text


def main() -> None:
    """Entry point of the `wardround` command."""
    cli()


if __name__ == "__main__":
    main()
