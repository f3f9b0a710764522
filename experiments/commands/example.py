"""Small protocols, run between a few parties: what comes out, and what every one of them saw."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.commands._terminal import say, spoken_errors

cli = typer.Typer(help="Small protocols between a few parties, and what each of them saw.", no_args_is_help=True)

Scores = Annotated[str, typer.Option(help="Whole numbers with commas between, one a student.")]


@cli.command("exam-score")
def exam_score(
    scores: Scores = "71,84,92",
    encrypted: Annotated[bool, typer.Option("--encrypted", help="By a homomorphic sum instead of shares.")] = False,
) -> None:
    """The average score of an exam, whose students tell nobody their own: by secret sharing, or encrypted."""
    with spoken_errors():
        from experiments.lessons.encrypted_sum import encrypted_sum
        from experiments.lessons.party import told
        from experiments.lessons.secret_sharing import shared_sum

        numbers = {f"Student {at}": number for at, number in enumerate(_numbers(scores), 1)}
        total, parties = (encrypted_sum if encrypted else shared_sum)(numbers)
        against = "The server and the teacher" if encrypted else "All others"
        says = f"{against} together could read a student's score."
        say([*told(parties), f"The average is {total} / {len(numbers)} = {total / len(numbers):.4g}. {says}"])


@cli.command("sum")
def sum_(
    x: Annotated[int, typer.Option(help="Alice's number.")] = 5, y: Annotated[int, typer.Option(help="Bob's.")] = 7
) -> None:
    """Alice's x and Bob's y, added up by shares: with two, each can tell the other's from the sum."""
    with spoken_errors():
        from experiments.lessons.party import told
        from experiments.lessons.secret_sharing import shared_sum

        total, parties = shared_sum({"Alice": x, "Bob": y})
        parties[0].sees("what the sum tells her of y", f"{total} - {x} = {total - x}")
        parties[1].sees("what the sum tells him of x", f"{total} - {y} = {total - y}")
        say(
            [
                *told(parties),
                f"x + y = {total}. The shares told nothing; the sum of two tells each the other's number.",
            ]
        )


@cli.command("record")
def record(k: Annotated[int, typer.Option(help="As many records must look alike.")] = 3) -> None:
    """A record that becomes [Male, 1950-1960], so that k persons look alike: k-anonymity, and where it fails."""
    with spoken_errors():
        from experiments.lessons.generalised_record import generalised
        from experiments.lessons.party import told

        width, parties = generalised(k)
        say([*told(parties), f"Years are let out {width} together, so that at least {k} records look alike."])


def _numbers(words: str) -> list[int]:
    from common.errors import StudyError

    try:
        return [int(word) for word in words.split(",")]
    except ValueError:
        raise StudyError(f"scores are whole numbers with commas between, as 71,84,92; they are {words!r}.") from None
