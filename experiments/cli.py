"""The `wardround` command: what it offers, in the order that its help shows."""

from __future__ import annotations

import inspect
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from common.files import access as files
from experiments.commands import (
    ablate,
    anonymise,
    approve,
    ask,
    audits,
    causal,
    changes,
    compare,
    consent,
    consortium,
    counterfactual,
    data,
    describe,
    doctor,
    evaluations,
    example,
    explain,
    export,
    inherited,
    jobs,
    lists,
    log,
    measures,
    new,
    node,
    pacs,
    pages,
    plan,
    policy,
    predict,
    privacy,
    probe,
    reconstruct,
    register,
    runs,
    segment,
    server,
    strain,
    studies,
    survey,
    template,
    track,
    transform,
    tune,
    views,
    withstand,
)

EXIT_CODES = (
    "Exit codes:  0 all went well; 1 it failed, or was refused; 2 the command was not understood; 3 the run came to "
    "its end, and a hospital, a round's reply or a step after the rounds was lost on the way; 4 a search for a "
    "transform or an outline has probably failed; 78 what no restart mends, of a node, a coordinator or doctor; 130 "
    "after Ctrl-C, 143 after SIGTERM."
)

cli = typer.Typer(
    help="Hospitals learn one model together; their data stays where it is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    suggest_commands=False,  # its parser does
    epilog="Begin with:  wardround run demo\n\n\n\n" + EXIT_CODES,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        lists.say_version()
        raise typer.Exit


@cli.callback()
def begin(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hospitals learn one model together; their data stays where it is."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no sign for a letter shows another
    files.keep_private()  # what a command writes, and what it starts writes, may show patients


cli.command()(runs.run)
cli.command()(runs.resume)
cli.command()(evaluations.evaluate)
cli.command()(ask.ask)
cli.command()(tune.tune)
cli.command()(probe.probe)
cli.command()(withstand.withstand)
cli.command()(ablate.ablate)
cli.command()(studies.check)
cli.command()(plan.plan)
cli.command()(views.views)
cli.command()(approve.approve)
cli.command()(policy.policy)
cli.command()(consent.withdraw)
cli.command("list")(lists.list_)
cli.command()(describe.describe)
cli.command()(anonymise.anonymise)
cli.command()(new.new)
cli.command("test")(inherited.try_file)
cli.command()(pages.watch)
cli.command()(runs.report)
cli.command()(compare.compare)
cli.command()(causal.causal)
cli.command()(track.track)
cli.add_typer(audits.cli, name="audit")
cli.command()(predict.predict)
cli.command()(counterfactual.counterfactual)
cli.command()(explain.explain)
cli.command()(export.export)
cli.command()(measures.metrics)
cli.command()(register.register)
cli.command()(transform.transform)
cli.command()(template.template)
cli.command()(changes.changes)
cli.command()(strain.strain)
cli.command()(segment.segment)
cli.command()(reconstruct.reconstruct)
cli.command()(measures.bench)
cli.add_typer(data.cli, name="data")
cli.add_typer(pacs.cli, name="pacs")
cli.add_typer(privacy.cli, name="privacy")
cli.add_typer(survey.cli, name="survey")
cli.add_typer(example.cli, name="example")
cli.add_typer(log.cli, name="log")
cli.add_typer(server.cli, name="server")
cli.command()(doctor.doctor)
cli.command()(jobs.submit)
cli.command()(jobs.status)
cli.command()(jobs.stop)
node.cli.command("ui")(pages.node_ui)
server.cli.command("ui")(pages.server_ui)
cli.add_typer(node.cli, name="node")
cli.add_typer(consortium.cli, name="consortium")
cli.command()(lists.version)


def _reflow_help(app: typer.Typer) -> None:
    """Typer keeps line breaks of all paragraphs but the first, and takes `[split]` for markup: neither is meant."""
    for command in app.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").replace("[", "\\[").split("\n\n")
        command.help = "\n\n".join(" ".join(one.split()) for one in paragraphs)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _reflow_help(group.typer_instance)


_reflow_help(cli)


def main() -> None:
    """Entry point of the `wardround` command."""
    cli()


if __name__ == "__main__":
    main()
