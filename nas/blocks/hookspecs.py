"""The hooks a plugin may implement."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from nas.blocks.base import Block

hookspec = pluggy.HookspecMarker("nas")
hookimpl = pluggy.HookimplMarker("nas")


@hookspec
def nas_register_blocks(register: Callable[[type[Block]], None]) -> None:
    """Call `register(BlockClass)` once for every block type that the plugin brings."""
