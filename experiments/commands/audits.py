"""The command that attacks a run, and those that sign and verify what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from click import Argument, Command, Context
from typer.core import TyperGroup

from common.study.plugins import resolved, trusting
from experiments.commands._device import Device, use
from experiments.commands._study_text import TrustCode, asked_study, code_of_folder
from experiments.commands._terminal import console, say, spoken_errors

ATTACKING = "run"
"""What `wardround audit RUN` is short for."""


class OrAttacking(TyperGroup):
    """A group whose own name, with anything but one of its commands after it, attacks.

    A folder may be called as a command is: it is meant where the command would have nothing to work on.
    """

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Put in the command that nobody writes."""
        return super().parse_args(ctx, self.written_out(ctx, args))

    def written_out(self, ctx: Context, args: list[str]) -> list[str]:
        """The words with the command that they are short for."""
        if not args or args[0] in ctx.help_option_names:
            return args
        named = self.commands.get(args[0])
        if named is None or (Path(args[0]).is_dir() and self._lacks_argument(named, ctx, args[1:])):
            return [ATTACKING, *args]
        return args

    def _lacks_argument(self, named: Command, ctx: Context, args: list[str]) -> bool:
        """Whether nothing in `args` is what this command works on."""
        options = {word.partition("=")[0] for word in args if word.startswith("-")}
        if options & set(ctx.help_option_names):
            return False
        if not options <= _options_of(named):
            return options <= _options_of(self.commands[ATTACKING])
        found, _, _ = named.make_parser(Context(named, parent=ctx)).parse_args(list(args))
        return not any(isinstance(found.get(str(one.name)), str) for one in named.params if isinstance(one, Argument))


def _options_of(command: Command) -> set[str]:
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


cli = typer.Typer(
    cls=OrAttacking,
    help="Attack a run and write the dossier that a data-protection officer signs: wardround audit RUN",
    no_args_is_help=True,
)


@cli.command(ATTACKING)
def audit(
    run: Annotated[str, typer.Argument(help="A finished run's folder; with --matrix a study.")],
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Run the study under every protection, attack each, and compare.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="For all attacks on a run; else as the study says.")] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures", help="Show patients' data beside what came back; never in the dossier."
        ),
    ] = False,
    poisoning: Annotated[
        bool, typer.Option("--poisoning", help="Also run small federations with a hospital that poisons.")
    ] = False,
    attack: Annotated[
        list[str] | None,
        typer.Option("--attack", help="Try this attack too, and run its code: a name, module or file. Repeatable."),
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option(
            "--question", help="Ask this question too, and run its code: a name, module or file. Repeatable."
        ),
    ] = None,
    adversary: Annotated[
        list[str] | None,
        typer.Option("--adversary", help="Play this one too, and run its code: a name, module or file. Repeatable."),
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option(
            help="Cases of other people that anybody can get, for attacks that learn from them: an .npz file, or a "
            "folder as the study's source reads it."
        ),
    ] = None,
    release: Annotated[
        Path | None,
        typer.Option(
            help="A release of the study's patients, as `wardround anonymise` writes it: who is found in it?"
        ),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(help="Folder of the answer to `wardround ask STUDY attribution_maps`: whose maps were summed?"),
    ] = None,
    words: Annotated[
        Path | None, typer.Option(help="A TOML file with a table `dossier`, in the place of the study's own.")
    ] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Print the dossier to audit.pdf, by an installed Chromium.")
    ] = False,
    key: Annotated[Path | None, typer.Option(help="A folder with identity.key: sign the dossier with it.")] = None,
    party: Annotated[str, typer.Option(help="Whose key that is, in words, as it stands in the dossier.")] = "",
    zip_: Annotated[Path | None, typer.Option("--zip", help="Write the dossier into this zip file too.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="With --matrix: override a setting.")] = None,
    folder: Annotated[Path | None, typer.Option(help="With --matrix: where the runs go.")] = None,
    trust_code: TrustCode = False,
    device: Device = None,
) -> None:
    """Attack what crossed the wire in a simulated run, and write the dossier a data-protection officer can sign."""
    with spoken_errors(), trusting(code_of_folder(matrix or trust_code)):
        from common.files.access import demand_writable
        from experiments.audit import command as audit_command
        from experiments.audit.conduct import Effort
        from experiments.audit.dossier.printing import demand_browser
        from experiments.audit.dossier.words import words_of
        from experiments.audit.dossier.writing import Filing, signer_of
        from experiments.places import with_modules_of
        from server.app import new_default_folder

        use(device)
        demand_writable(zip_)
        if pdf:
            demand_browser()
        attacks, questions, adversaries = (
            tuple(resolved(name, Path.cwd()) for name in names or ()) for names in (attack, question, adversary)
        )
        said = None if words is None else words_of(words)
        effort = Effort(seconds, pictures, poisoning, attacks, questions, adversaries, said, public, release, maps)
        if trust_code:
            with_modules_of(Path(run))
        if matrix:
            asked = asked_study(run, set_)
            place = folder or new_default_folder(f"{asked.name}-matrix")
            say(asked.remarks)
            path = audit_command.audit_protections(asked.study, asked.name, place, effort, console)
            say([f"{'Comparison' if matrix else 'Audit'}: {path.resolve()}"])
        else:
            filing = Filing(pdf, None if key is None else signer_of(key, party), zip_)
            audit_command.audit(Path(run), effort, console, filing)


@cli.command("verify")
def verify(
    dossier: Annotated[
        Path, typer.Argument(help="A dossier: its folder, a zip file, or the run's folder around it.")
    ],
    run: Annotated[Path | None, typer.Option(help="The run's folder, to be compared with.")] = None,
    signer: Annotated[str | None, typer.Option(help="The 32 digits of the key that should have signed.")] = None,
) -> None:
    """Say whether a dossier is as it was written, who signed it, and what differs; exits 1 where anything does."""
    with spoken_errors():
        from experiments.audit.dossier.verifying import verify as verified
        from experiments.audit.dossier.verifying import whole_fingerprint

        found = verified(dossier, run, None if signer is None else whole_fingerprint(signer))
        signs = {True: "✓", False: "✕", None: "–"}
        say(f"{signs[one.holds]} {one.sentence}" for one in found.findings)
        say([found.sentence])
        if not found.whole:
            raise typer.Exit(1)


@cli.command("sign")
def sign(
    dossier: Annotated[Path, typer.Argument(help="A dossier's folder, or the run's folder around it.")],
    key: Annotated[Path, typer.Option(help="A folder with identity.key, made by `wardround audit key`.")],
    party: Annotated[str, typer.Option(help="Whose key that is, in words, as it stands in the dossier.")] = "",
    zip_: Annotated[Path | None, typer.Option("--zip", help="Write the dossier into this zip file too.")] = None,
) -> None:
    """Sign a dossier that you have read, as it is: nothing is attacked again. In the place of an older signature."""
    with spoken_errors():
        from common.files.access import demand_writable
        from experiments.audit.dossier.writing import sign_dossier, signer_of

        demand_writable(zip_)
        signer = signer_of(key, party)
        place = sign_dossier(dossier, signer, zip_)
        say([f"Dossier: {place.resolve()} (signed by {signer.fingerprint})"])


@cli.command("key")
def key(folder: Annotated[Path, typer.Argument(help="A folder of your own for identity.key.")]) -> None:
    """Make a key to sign dossiers with, unless the folder holds one, and print the digits by which others know it."""
    with spoken_errors():
        from common.sums.identity import create
        from experiments.audit.dossier.statement import fingerprint_of

        public = create(folder)
        say([f"The key in {folder / 'identity.key'} is known by {fingerprint_of(public)}."])
        say(["Read these digits out to whoever verifies your dossiers; keep the file to yourself."])
