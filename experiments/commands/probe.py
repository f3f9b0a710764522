"""The command that shows what few labels make of a pretrained encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.errors import StudyError
from common.study.plugins import trusting
from experiments.commands._study_text import TrustCode, code_of_folder
from experiments.commands._terminal import console, say, spoken_errors


def probe(
    run: Annotated[Path, typer.Argument(help="A run folder, of a task without labels or any other with a network.")],
    share: Annotated[
        list[float] | None, typer.Option(help="Share of the labels: --share 0.01. Repeatable; 0.01, 0.1 and 1.")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Draws of labels, class by class, of every share below 1.")] = 3,
    method: Annotated[str, typer.Option(help="logistic, ridge, or knn within hospitals.")] = "logistic",
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the probe: --option c=10. Repeatable.")
    ] = None,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="Also train the network on the same labels from nothing.")
    ] = False,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Also train it on them from the encoder, all of it.")
    ] = False,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="Also pretrain on all hospitals' cases together: the bound.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Of --scratch and --fine-tune.")] = 20,
    folder: Annotated[Path | None, typer.Option(help="Of the page; probe-<method> in the run's folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print probe.json, and nothing else.")] = False,
    trust_code: TrustCode = False,
) -> None:
    """Show how many labels an encoder needs: a probe of its features at 1, 10 and 100 % of labels, on all test cases.

    In simulation, on the run's own hospitals, by the exact sums that real ones would answer. The same network
    untrained stands beside it always.
    """
    with spoken_errors(), trusting(code_of_folder(trust_code)):
        from experiments.asking.spoken import option_of
        from experiments.probing.command import probe_run, show
        from experiments.probing.curves import METHODS, Asked
        from experiments.probing.page import figures_of

        if method not in METHODS:
            from common.study.spelling import unknown

            raise unknown("probe", method, METHODS)
        shares = tuple(sorted(set(share or (0.01, 0.1, 1.0))))
        if not all(0 < one <= 1 for one in shares):
            raise StudyError(f"--share is above 0 and at most 1; it was given {', '.join(map(str, shares))}.")
        options = dict(map(option_of, option or ()))
        asked = Asked(shares, draws, method, options, scratch, fine_tune, pooled, rounds)
        probed, page = probe_run(run, asked, folder or run / f"probe-{method}", console)
        if as_json:
            typer.echo(json.dumps(figures_of(probed), indent=1, ensure_ascii=False))
            return
        show(probed, console)
        say([f"Page: {page.resolve()}"])
