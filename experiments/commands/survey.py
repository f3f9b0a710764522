"""Private surveys: what one would tell and cost, asking the persons of a table, and reading what was heard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.files import access as files
from experiments.commands._terminal import console, say, spoken_errors
from experiments.whole_tables import print_whole

cli = typer.Typer(help="Private surveys: every answer is randomised before anybody sees it.", no_args_is_help=True)

Epsilon = Annotated[float, typer.Option(help="Of one interview: e to this is how much likelier the truth is heard.")]
Answers = Annotated[str, typer.Option(help="All that can be answered, with commas between.")]
Kind = Annotated[
    str | None, typer.Option(help="one-of-k or oue (unary encoding); the better of the two if not given.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")]
Page = Annotated[Path | None, typer.Option(help="Write a page with plots here.")]


@cli.command("plan")
def plan(
    epsilon: Epsilon = 1.0,
    answers: Answers = "yes,no",
    persons: Annotated[int, typer.Option(help="How many will be asked.")] = 500,
    share: Annotated[float, typer.Option(help="Of those who have the answer, as is expected.")] = 0.3,
    interviews: Annotated[int, typer.Option(help="How often each is asked.")] = 10,
    kind: Kind = None,
    page: Page = None,
    json_file: JsonFile = None,
) -> None:
    """Say how wide an interval will be and what it costs a person, by how often persons are asked."""
    with spoken_errors():
        from common.surveys.forecast import forecast
        from experiments.surveys.randomiser import randomiser_of
        from experiments.surveys.showing import costs, costs_page

        files.demand_writable(page, json_file)
        randomiser = randomiser_of(answers, epsilon, kind)
        found = forecast(randomiser, persons, share, interviews)
        print_whole(console, costs(found))
        if json_file is not None:
            files.write_to(json_file, json.dumps([vars(one) for one in found], indent=1) + "\n")
        if page is not None:
            files.write_to(page, costs_page(randomiser, persons, found))


@cli.command("ask")
def ask(
    table: Annotated[Path, typer.Argument(help="A table with a row for each person.")],
    question: Annotated[str, typer.Argument(help="The column with the true answers.")],
    answers: Answers,
    out: Annotated[Path, typer.Option(help="Write what may leave here.")],
    register: Annotated[Path, typer.Option(help="A folder of your own: what persons said and spent is kept there.")],
    epsilon: Epsilon = 1.0,
    person: Annotated[str, typer.Option(help="The column that names the person.")] = "patient",
    limit: Annotated[float, typer.Option(help="Epsilon that no person spends more than, over all questions.")] = 3.0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Draw anew where a person was asked before, charged.")
    ] = False,
    kind: Kind = None,
) -> None:
    """Ask everybody in a table; answers are randomised by the system, and the same when they are asked for again."""
    with spoken_errors():
        import os

        from experiments.surveys.asking import interview
        from experiments.surveys.randomiser import randomiser_of

        files.demand_writable(out)
        randomiser = randomiser_of(answers, epsilon, kind)
        done = interview(table, question, person, randomiser, register, os.urandom, limit=limit, fresh=fresh)
        files.write_to(out, json.dumps(done.responses.json, indent=1) + "\n")
        say(
            [
                f"{done.responses.persons:,} persons were asked, {done.missing:,} have no answer, {done.at_limit:,} "
                f"have no epsilon left. What was heard is in {out}; nothing else needs to leave.",
                f"From the answers beside the truth: epsilon is {done.least_epsilon:.2f} at least (99.9 % sure), and "
                f"{randomiser.epsilon:g} is claimed. Nobody has spent more than {done.most_spent:g} in all.",
            ]
        )
        if done.least_epsilon > randomiser.epsilon:
            raise typer.Exit(1)


@cli.command("read")
def read(
    responses: Annotated[
        list[Path], typer.Argument(help="What `wardround survey ask` wrote, at one place or several.")
    ],
    page: Page = None,
    json_file: JsonFile = None,
) -> None:
    """Say how many have each answer, with exact intervals, from what was heard at all places together."""
    with spoken_errors():
        from common.files.json_files import json_of, table_of
        from common.surveys.responses import responses_of, together
        from experiments.surveys.showing import results, results_page, sentences

        files.demand_writable(page, json_file)
        places = [responses_of(table_of(json_of(files.read_all(one), one), one), str(one)) for one in responses]
        whole = together(places)
        shares = whole.shares()
        print_whole(console, results(whole, shares))
        say(sentences(whole))
        if json_file is not None:
            named = dict(zip(whole.randomiser.answers, (vars(share) for share in shares), strict=True))
            files.write_to(json_file, json.dumps({**whole.json, "shares": named}, indent=1) + "\n")
        if page is not None:
            files.write_to(page, results_page(whole, shares))
