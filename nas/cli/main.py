"""The command `nas`: its table of commands, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Sequence

import click

from nas.cli.groups import LazyGroup, Place
from nas.cli.options import Settings, common
from nas.cli.output import note
from nas.errors import NasError

COMMANDS = {
    "run": Place("nas.cli.run", "run", "Run a study to its total of trials, or go on with it."),
    "submit": Place("nas.cli.submit", "submit", "Put a study into the storage, for workers anywhere to run."),
    "worker": Place("nas.cli.submit", "worker", "Work on the open studies of the storage, by priority."),
    "pause": Place("nas.cli.halt", "pause", "Have a study rest until it is resumed."),
    "cancel": Place("nas.cli.halt", "cancel", "End a study before its time."),
    "resume": Place("nas.cli.halt", "resume", "Open a study again that was paused or cancelled."),
    "train": Place("nas.cli.train", "train", "Train one architecture on a data set."),
    "confirm": Place("nas.cli.confirm", "confirm", "Train a study's best anew, scored on the test images once."),
    "profile": Place("nas.cli.profile", "profile", "What a study's space holds under its budget; nothing is trained."),
    "studies": Place("nas.cli.studies", "studies", "The studies in the storage."),
    "status": Place("nas.cli.studies", "status", "Where a study stands, or every one."),
    "trials": Place("nas.cli.studies", "trials", "The trials of a study."),
    "rm": Place("nas.cli.rm", "rm", "Remove a study and its trials."),
    "best": Place("nas.cli.best", "best", "The ranking, over one study or all."),
    "explain": Place("nas.cli.explain", "explain", "Which choices of a study mattered, and what one edit may bring."),
    "show": Place("nas.cli.networks", "show", "One architecture, layer by layer."),
    "diff": Place("nas.cli.networks", "diff", "Two architectures side by side."),
    "cost": Place("nas.cli.cost", "cost", "What an architecture or a block costs, exactly."),
    "compare": Place("nas.cli.compare", "compare", "Block types side by side, for one map or over swept values."),
    "references": Place("nas.cli.references", "references", "The networks that are known by name, with their cost."),
    "export": Place("nas.cli.export", "export", "Hand a network over as a module of torch alone."),
    "blocks": Place("nas.cli.blocks", "blocks", "The block types that are registered."),
    "plugins": Place("nas.cli.plugins", "plugins", "The plugins; make one, check one."),
    "data": Place("nas.cli.data", "data", "The data sets that are known."),
    "doctor": Place("nas.cli.doctor", "doctor", "What is wrong with this installation."),
    "db": Place("nas.cli.database", "db", "The storage's schema."),
}
"""Every command: where it is, and what `nas --help` says of it without importing it."""


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nas", message="%(prog)s %(version)s")
@common
@click.pass_context
def cli(context: click.Context) -> None:
    """Architecture search for convolutional networks under a hard budget."""
    context.ensure_object(Settings)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (None: the process's own); its exit code. What is no mistake of the user is raised."""
    settings = Settings()
    try:
        code = cli.main(arguments, prog_name="nas", standalone_mode=False, obj=settings)
        return code if isinstance(code, int) else 0
    except click.Abort:
        click.echo("Interrupted", err=True)
        return 130
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        note(usage.getvalue().rstrip("\n"))
        return error.exit_code
    except NasError as error:
        if settings.debug:
            traceback.print_exc()
        else:
            note("\n".join(f"Error: {line}" for line in error.lines))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
