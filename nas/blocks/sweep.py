"""Block types side by side, for one map or over swept values: what each costs, and against a plain convolution."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nas.arch.cost import Cost, Shape, convolution
from nas.arch.record import Value
from nas.arch.spec import settings as pairs
from nas.blocks.base import Block
from nas.blocks.costing import block_cost, full_settings
from nas.blocks.registry import BUILT_IN, Blocks
from nas.blocks.verify import prove
from nas.errors import BlockError, nearest

MEASURES = ("channels", "in", "width", "size", "stride")
"""What may be swept beside a block's own settings; `channels` is `in` and `width` together, `size` both sides."""

_TOGETHER = {"channels": ("in", "width"), "size": ("height", "breadth")}

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
"""Bytes of one number, by precision."""


@dataclass(frozen=True)
class BlockVariant:
    """A block type by name, with the settings that stay as they are whatever is set or swept for all."""

    block: str
    settings: Mapping[str, Value] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As the command takes it: `stacked:kernel=3,layers=3`."""
        given = ",".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.block}:{given}" if given else self.block


@dataclass(frozen=True)
class ComparedBlock:
    """What one variant costs for an input (C, H, W), at the `swept` values; `error` says why it cannot be built.

    `times_lighter` is how many times the weights a plain k×k convolution of the block's own kernel has, and
    `times_fewer_macs` how many times its macs; `_by_field`: of the plain convolution with the block's receptive field.
    None: there is no such convolution. `weight_bytes` and `activation_bytes` hold them in the precision, those of the
    whole batch.
    """

    block: str
    swept: Mapping[str, Value]
    settings: Mapping[str, Value]
    input: Shape
    width: int
    stride: int
    output: Shape
    precision: str
    batch: int
    params: int | None = None
    weights: int | None = None
    macs: int | None = None
    activations: int | None = None
    receptive_field: int | None = None
    times_lighter: float | None = None
    times_fewer_macs: float | None = None
    times_lighter_by_field: float | None = None
    times_fewer_macs_by_field: float | None = None
    weight_bytes: int | None = None
    activation_bytes: int | None = None
    error: str = ""


@dataclass(frozen=True)
class _Place:
    """One map and the settings for all that take them, at one combination of the swept values."""

    swept: Mapping[str, Value]
    input: Shape
    width: int
    stride: int
    settings: Mapping[str, Value]


def compare_blocks(
    blocks: Blocks,
    variants: Iterable[BlockVariant | str] | None = None,
    *,
    in_channels: int = 256,
    width: int = 256,
    size: int | tuple[int, int] = 28,
    stride: int = 1,
    settings: Mapping[str, Value] | None = None,
    sweep: Mapping[str, Sequence[Value]] | None = None,
    precision: str = "fp32",
    batch: int = 1,
) -> list[ComparedBlock]:
    """The variants (names, or BlockVariant; None: every block of the registry) for the same channels and map in pixels.

    `settings` go to every block that takes them; what is set nowhere has the first value that its block declares.
    `sweep` puts lists of values in place of a measure (in, width, channels, size, stride) or a setting, all
    combinations of several; the rows come value by value, in the order of the variants. What cannot be built is a row
    with `error`. Raises BlockError on a name, setting or type that is not, and where nothing can be built.
    """
    chosen = _variants(blocks, variants)
    if precision not in BYTES or batch < 1:
        raise BlockError(f"precision {precision!r}, batch {batch}: allowed: {', '.join(BYTES)}; a batch from 1")
    high, wide = (size, size) if isinstance(size, int) else size
    measures = {"in": in_channels, "width": width, "stride": stride, "height": high, "breadth": wide}
    rows: list[ComparedBlock] = []
    for place in _places(measures, settings or {}, sweep or {}):
        _check_settings(blocks, chosen, place.settings)
        found = [_compared(blocks, variant, place, precision, batch) for variant in chosen]
        if all(row.error for row in found):
            raise BlockError(_nothing(found))
        rows += found
    return rows


def _variants(blocks: Blocks, given: Iterable[BlockVariant | str] | None) -> list[BlockVariant]:
    """Each once, in the order given; raises BlockError on a block or setting that there is not."""
    listed = (BlockVariant(one) if isinstance(one, str) else one for one in (blocks if given is None else given))
    chosen = list({variant.label: variant for variant in listed}.values())
    if not chosen:
        raise BlockError("no block to compare")
    for variant in chosen:
        full_settings(blocks[variant.block], {**first_choices(blocks[variant.block]), **variant.settings})
    return chosen


def first_choices(block: Block) -> dict[str, Value]:
    """The first value of each of a block's choices."""
    return {name: next(iter(values)) for name, values in block.choices.items()}


def _places(
    measures: Mapping[str, int], settings: Mapping[str, Value], sweep: Mapping[str, Sequence[Value]]
) -> Iterator[_Place]:
    """Every combination of the swept values, the last one fastest."""
    for name, values in sweep.items():
        if not values:
            raise BlockError(f"sweep {name}: no values")
    for combination in itertools.product(*sweep.values()):
        yield _place(dict(zip(sweep, combination, strict=True)), measures, settings)


def _place(swept: Mapping[str, Value], measures: Mapping[str, int], settings: Mapping[str, Value]) -> _Place:
    """The swept values in place of the fixed ones; raises BlockError on what is no size."""
    at: dict[str, Value] = dict(measures)
    for name in (name for name in MEASURES if name in swept):
        at |= dict.fromkeys(_TOGETHER.get(name, (name,)), swept[name])
    for name, value in at.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BlockError(f"{name} = {value!r}: allowed: whole numbers from 1")
    inner = {name: value for name, value in swept.items() if name not in MEASURES}
    channels, width, stride, high, wide = (int(at[name]) for name in ("in", "width", "stride", "height", "breadth"))
    return _Place(swept, (channels, high, wide), width, stride, {**settings, **inner})


def _check_settings(blocks: Blocks, variants: Sequence[BlockVariant], settings: Mapping[str, Value]) -> None:
    """Raise BlockError for a setting that no block takes, or of a type that one of those that take it has not."""
    taken = {name for variant in variants for name in _known(blocks[variant.block])}
    for name in settings:
        if name not in taken:
            known = sorted(taken)
            allowed = f"allowed: {', '.join(known) or 'none'}; swept may be {', '.join(MEASURES)} too"
            raise BlockError(f"none of the blocks has {name!r}{nearest(name, [*known, *MEASURES])}; {allowed}")
    for variant in variants:
        _full(blocks[variant.block], variant, settings)


def _known(block: Block) -> list[str]:
    return [*block.choices, *block.options]


def _full(block: Block, variant: BlockVariant, settings: Mapping[str, Value]) -> dict[str, Value]:
    """All settings of a variant: its own before those for all, those before the first choices."""
    shared = {name: value for name, value in settings.items() if name in _known(block)}
    return full_settings(block, {**first_choices(block), **shared, **variant.settings})


def _compared(blocks: Blocks, variant: BlockVariant, place: _Place, precision: str, batch: int) -> ComparedBlock:
    block = blocks[variant.block]
    full = _full(block, variant, place.settings)
    output = (place.width, -(-place.input[1] // place.stride), -(-place.input[2] // place.stride))
    where = (variant.label, place.swept, full, place.input, place.width, place.stride, output, precision, batch)
    try:
        cost = block_cost(block, place.input, place.width, place.stride, pairs(full))
        if blocks.registered[variant.block].plugin != BUILT_IN:  # the built-in ones are proven by tests
            prove(block, place.input, place.width, place.stride, pairs(full))
    except BlockError as error:
        return ComparedBlock(*where, error=_reason(error, block, full))
    return ComparedBlock(
        *where,
        *(cost.params, cost.weights, cost.macs, cost.activations, cost.receptive_field),
        *_times(cost, plain(place.input, place.width, full.get("kernel"), place.stride)),
        *_times(cost, plain(place.input, place.width, cost.receptive_field, place.stride)),
        weight_bytes=cost.weights * BYTES[precision],
        activation_bytes=cost.activations * BYTES[precision] * batch,
    )


def plain(shape: Shape, width: int, kernel: Value | None, stride: int = 1) -> Cost | None:
    """The plain k×k convolution from (C, H, W) to `width` channels; None where `kernel` is no odd number from 1."""
    if isinstance(kernel, bool) or not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0:
        return None
    return convolution(shape, width, kernel, stride)


def _times(cost: Cost, rival: Cost | None) -> tuple[float | None, float | None]:
    """How many times the weights and the macs the rival has."""
    if rival is None:
        return None, None
    return (rival.weights / cost.weights if cost.weights else None), (rival.macs / cost.macs if cost.macs else None)


def _reason(error: BlockError, block: Block, settings: Mapping[str, Value]) -> str:
    """The error in one line, with what the block declares where a value is not of it."""
    unusual = [name for name, values in block.choices.items() if settings[name] not in values]
    declared = "; ".join(f"{name} {settings[name]!r} is not among {block.choices[name]!r}" for name in unusual)
    text = " ".join(str(error).split())
    return f"{text} ({declared})" if declared else text


def _nothing(rows: Sequence[ComparedBlock]) -> str:
    """One line where nothing can be built: the first reason, and how many more there are."""
    more = f"; nor can the other {len(rows) - 1} be" if len(rows) > 1 else ""
    return f"{rows[0].error}{more}"
