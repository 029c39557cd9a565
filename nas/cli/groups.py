"""Two kinds of group: one that loads a command when it is called, one whose default command takes arguments."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from nas.errors import nearest


class Place(NamedTuple):
    """Where a command is, and what the list of commands says of it."""

    module: str
    attribute: str
    help: str

    def load(self) -> Any:
        """What is there, imported now."""
        return getattr(import_module(self.module), self.attribute)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def __init__(self, *args: Any, table: Mapping[str, Place], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in self.table:
            return None
        command: click.Command = self.table[cmd_name].load()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown command is told with the nearest one."""
        if args[0] not in self.table and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}{nearest(args[0], self.table)}")
        return super().resolve_command(ctx, args)


class DefaultGroup(click.Group):
    """A group that runs its default command where the first word is no subcommand; options may stand before it."""

    def __init__(self, *args: Any, default: click.Command, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.default = default

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of this group for its subcommands and its help, else the default command's own."""
        place = self._first_word(args)
        if place < len(args) and args[place] in self.commands:
            return super().make_context(info_name, [args[place], *args[:place], *args[place + 1 :]], parent, **extra)
        if place == len(args) and {"-h", "--help"} & set(args):
            return super().make_context(info_name, ["--help"], parent, **extra)
        return self.default.make_context(info_name, args, parent, **extra)

    def _first_word(self, args: list[str]) -> int:
        """The place of the first argument that is neither an option nor an option's value."""
        options = [option for option in self.default.params if isinstance(option, click.Option) and not option.is_flag]
        taking = {name for option in options for name in option.opts}
        place = 0
        while place < len(args) and args[place].startswith("-"):
            place += 2 if args[place] in taking else 1
        return min(place, len(args))

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's usage, and the subcommands'."""
        pieces = self.default.collect_usage_pieces(ctx)
        formatter.write_usage(ctx.command_path, " ".join(pieces))
        for name, command in self.commands.items():
            formatter.write_usage(
                f"{ctx.command_path} {name}", " ".join(command.collect_usage_pieces(ctx)), prefix="       "
            )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's options, and the subcommands."""
        self.default.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
