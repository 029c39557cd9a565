"""How far an output pixel of a block sees, followed from operator to operator: the receptive field by dataflow.

Each tensor carries a track an axis (vertical, horizontal). A function here is the rule by which one kind of operator
moves the tracks; `nas.blocks.operators` says which operator follows which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from nas.blocks.axes import (
    GLOBAL,
    LOST,
    Arguments,
    Axis,
    Gone,
    Seen,
    Sizes,
    Track,
    Tracks,
    join,
    move,
    seen_in,
    whole,
)


def _dims(args: Arguments, ndim: int, *names: str) -> list[int]:
    """The dimensions that an operator names, counted from the left; none named: all of them."""
    for name in names or ("dim", "dims"):
        value = args.get(name)
        if value is not None and value != []:
            return [one % max(ndim, 1) for one in ([value] if isinstance(value, int) else value)]
    return list(range(ndim))


def elementwise(args: Arguments, out: Sizes) -> Tracks:
    """Broadcast from the right; an axis that is itself stretched is lost."""

    def right(axis: Axis, shape: Sizes) -> Track:
        dim = axis.dim + len(out) - len(shape)
        return replace(axis, dim=dim) if dim >= 0 and out[dim] == shape[axis.dim] else LOST

    return join(move(seen, right) for seen in seen_in(args))


def unchanged(args: Arguments, out: Sizes) -> Tracks:
    """Each element where it was: normalisations, whose statistics add nothing."""
    first: Seen = next(iter(args.values()))
    return first.tracks


def constant(args: Arguments, out: Sizes) -> Tracks:
    """New tensors, whatever they take their size from."""
    return None


def lost(args: Arguments, out: Sizes) -> Tracks:
    """Free of cost, but not followed."""
    return join(move(seen, lambda axis, shape: LOST) for seen in seen_in(args))


def same_size(args: Arguments, out: Sizes) -> Tracks:
    """Resizing: followed only where the size stays."""
    return elementwise(args, out) if args["self"].shape == out else lost(args, out)


def reshape(args: Arguments, out: Sizes) -> Tracks:
    """The pixels of an axis keep their place in the row-major order of all elements."""
    return move(args["self"], partial(_relocate, out))


def _relocate(out: Sizes, axis: Axis, shape: Sizes) -> Track:
    step = math.prod(shape[axis.dim + 1 :]) * axis.inner
    if math.prod(shape) == math.prod(out):
        for dim, size in enumerate(out):
            unit = math.prod(out[dim + 1 :])
            if step % unit == 0 and (unit * size) % (step * axis.size) == 0:
                return replace(axis, dim=dim, inner=step // unit)
    return LOST


def permute(args: Arguments, out: Sizes) -> Tracks:
    """permute, transpose and t."""
    ndim = len(out)
    order = _dims(args, ndim)
    if "dims" not in args:
        order = list(range(ndim))
        one, other = (args[name] % ndim for name in ("dim0", "dim1")) if "dim0" in args else (0, ndim - 1)
        order[one], order[other] = other, one
    return move(args["self"], lambda axis, shape: replace(axis, dim=order.index(axis.dim)))


def reduction(args: Arguments, out: Sizes) -> Tracks:
    """Reduced axes are mixed; the others close up unless their number stays."""

    def keep(axis: Axis, shape: Sizes) -> Track:
        dims = _dims(args, len(shape))
        if axis.dim in dims:
            return GLOBAL
        return axis if len(out) == len(shape) else replace(axis, dim=axis.dim - sum(dim < axis.dim for dim in dims))

    return move(args["self"], keep)


def along(gone: Gone, args: Arguments, out: Sizes) -> Tracks:
    """An operator that works along `dim` and leaves the other dimensions alone."""

    def keep(axis: Axis, shape: Sizes) -> Track:
        return gone if axis.dim in _dims(args, len(shape)) else axis

    return move(args["self"], keep)


def flip(args: Arguments, out: Sizes) -> Tracks:
    """Pixels that change places are not followed."""
    return along(LOST, {"self": args["self"], "dim": list(args["dims"])}, out)


def select(args: Arguments, out: Sizes) -> Tracks:
    """select and unbind: one dimension less."""
    dim = args["dim"] % (len(out) + 1)

    def close_up(axis: Axis, shape: Sizes) -> Track:
        return LOST if axis.dim == dim else replace(axis, dim=axis.dim - (axis.dim > dim))

    return move(args["self"], close_up)


def strided_slice(args: Arguments, out: Sizes) -> Tracks:
    """Every s-th pixel from the first, to the last: a 1×1 window of stride s. Other slices of an axis are lost."""
    dim, begin, end, step = args["dim"] % len(out), args["start"] or 0, args["end"], args["step"]

    def cut(axis: Axis, shape: Sizes) -> Track:
        if axis.dim != dim or (step == 1 and out[dim] == shape[dim]):
            return axis
        full = begin == 0 and (end is None or end >= shape[dim]) and whole(axis, shape)
        return replace(axis, size=out[dim], jump=axis.jump * step) if full else LOST

    return move(args["self"], cut)


def cat(args: Arguments, out: Sizes) -> Tracks:
    """Side by side along another dimension than the pixels lie in."""
    return join(along(LOST, {"self": seen, "dim": args["dim"]}, out) for seen in seen_in(args["tensors"]))


def stack(args: Arguments, out: Sizes) -> Tracks:
    """Side by side along a new dimension."""
    dim = args["dim"] % len(out)
    return join(
        move(seen, lambda axis, shape: replace(axis, dim=axis.dim + (axis.dim >= dim)))
        for seen in seen_in(args["tensors"])
    )


def index(args: Arguments, out: Sizes) -> Tracks:
    """Followed where a single list of channels, or the like, is picked along a dimension without pixels."""
    given = [(dim, seen) for dim, seen in enumerate(args["indices"]) if seen is not None]
    if len(given) == 1 and given[0][1].tracks is None and len(given[0][1].shape) == 1:
        return along(LOST, {"self": args["self"], "dim": given[0][0]}, out)
    return lost(args, out)


def pad(args: Arguments, out: Sizes) -> Tracks:
    """Pixels added at the ends; cropping (a negative padding) is not followed."""
    sizes = args["pad"] if "pad" in args else args["padding"]

    def grow(axis: Axis, shape: Sizes) -> Track:
        first = 2 * (len(shape) - 1 - axis.dim)
        added = sizes[first : first + 2]
        if not any(added):
            return axis
        return replace(axis, size=out[axis.dim]) if min(added) >= 0 and whole(axis, shape) else LOST

    return move(args["self"], grow)


def _window(axis: Axis, before: Sizes, after: Sizes, kernel: int, stride: int, dilation: int) -> Track:
    if kernel == stride == 1:
        return replace(axis, size=after[axis.dim]) if whole(axis, before) else axis
    if not whole(axis, before):
        return LOST
    reach = axis.reach + (kernel - 1) * dilation * axis.jump
    return Axis(axis.dim, after[axis.dim], 1, reach, axis.jump * stride)


def _each(value: Any, count: int, default: Sequence[int]) -> Sequence[int]:
    if value is None or value == []:
        return default
    values = [value] if isinstance(value, int) else list(value)
    return values * count if len(values) == 1 else values


def convolution(args: Arguments, out: Sizes) -> Tracks:
    """Widens the axes under the kernel, mixes one that lies in the channels."""
    seen, weight = args["input"], args["weight"]
    kernel = weight.shape[2:]
    count = len(kernel)
    strides, dilations = (_each(args[name], count, [1] * count) for name in ("stride", "dilation"))

    def slide(axis: Axis, shape: Sizes) -> Track:
        at = axis.dim - (len(shape) - count)
        if at < 0:
            return GLOBAL if at == -1 else axis
        if args.get("transposed") and strides[at] > 1:
            return LOST
        return _window(axis, shape, out, kernel[at], strides[at], dilations[at])

    return join([move(seen, slide), move(weight, lambda axis, shape: LOST)])


def pool(count: int, args: Arguments, out: Sizes) -> Tracks:
    """Widens the last `count` axes as a convolution does; a pool to one pixel is a global one."""
    kernel = _each(args["kernel_size"], count, [1] * count)
    strides = _each(args.get("stride"), count, kernel)
    dilations = _each(args.get("dilation"), count, [1] * count)

    def slide(axis: Axis, shape: Sizes) -> Track:
        at = axis.dim - (len(shape) - count)
        if at < 0:
            return axis
        if out[axis.dim] == 1 < shape[axis.dim]:
            return GLOBAL
        return _window(axis, shape, out, kernel[at], strides[at], dilations[at])

    return move(args["self"], slide)


def adaptive_pool(args: Arguments, out: Sizes) -> Tracks:
    """To one pixel: global; to the same size: nothing; else its windows are uneven and lost."""

    def slide(axis: Axis, shape: Sizes) -> Track:
        after = out[axis.dim]
        return axis if after == shape[axis.dim] else GLOBAL if after == 1 else LOST

    return move(args["self"], slide)


def product(left: Seen, right: Seen, out: Sizes) -> Tracks:
    """A matrix product: contracted axes are mixed, and so are positions held against positions, as in attention."""
    inner = max(len(right.shape) - 2, 0)

    def of_left(axis: Axis, shape: Sizes) -> Track:
        return GLOBAL if axis.dim == len(shape) - 1 else axis

    def of_right(axis: Axis, shape: Sizes) -> Track:
        if axis.dim == inner:
            return GLOBAL
        return replace(axis, dim=len(out) - 1) if axis.dim == len(shape) - 1 else axis

    return join([move(left, of_left), move(right, of_right)], clash=GLOBAL)


def attention(args: Arguments, out: Sizes) -> Tracks:
    """softmax(q·kᵀ)·v mixes the positions (the last but one dimension); batches and heads stay apart."""

    def mix(axis: Axis, shape: Sizes) -> Track:
        return GLOBAL if axis.dim >= len(shape) - 2 else axis

    return join(move(args[name], mix) for name in ("query", "key", "value"))
