"""An architecture as a flat list of steps, from which the module runs and the exported code is printed.

A value is what a step gives: `x` on the main path, `branch1`, `branch2_1` … inside joins, `aux1` … in auxiliary
heads. It is a map (N, C, H, W), or flat (N, C) behind a dense layer, up to where a map is needed again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nas.arch.cost import Shape
from nas.arch.layers import LAYERS
from nas.arch.spec import Architecture, Auxiliary, BlockPart, Join, Layer, Part
from nas.net.layers import ANY_RANK, FLATTENING

MODULE, ADD, CONCAT, FLATTEN, UNFLATTEN = "module", "add", "concat", "flatten", "unflatten"
"""What a step does: call the module of its name, join maps, or change between a map and flat."""

IMAGE = SCORES = "x"
"""The value that is the image at first and the class scores at last."""


@dataclass(frozen=True, slots=True)
class Step:
    """output = op(inputs). `shape` is (C, H, W) of the output, `input_shape` of the first input.

    `name` is the module's name, `part` what it is made from, its width a number; `head` numbers the auxiliary head
    it belongs to, 0: the network itself.
    """

    op: str
    inputs: tuple[str, ...]
    output: str
    shape: Shape
    flat: bool
    input_shape: Shape
    input_flat: bool = False
    name: str = ""
    part: Layer | BlockPart | None = None
    head: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    """A value at one place of the walk: its name, (C, H, W), and whether it is flat."""

    name: str
    shape: Shape
    flat: bool = False


@dataclass(frozen=True)
class Steps:
    """All steps in the order of running, and the loss weight of each auxiliary head."""

    steps: tuple[Step, ...]
    loss_weights: tuple[float, ...]


def network_steps(architecture: Architecture) -> Steps:
    """The steps of a normalised architecture whose shapes are known to meet.

    Module names are the kind and a running number a kind, so they follow from the fingerprint's data alone.
    """
    walk = _Walk(architecture.classes)
    walk.scores(architecture.parts, Value(IMAGE, architecture.input), SCORES)
    return Steps(tuple(walk.steps), tuple(walk.loss_weights))


@dataclass
class _Walk:
    """Carries a value through the parts and collects the steps."""

    classes: int
    steps: list[Step] = field(default_factory=list)
    loss_weights: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    head: int = 0

    def scores(self, parts: tuple[Part, ...], at: Value, to: str) -> None:
        at = self.parts(parts, at, to)
        if not at.flat:
            self.reshape(FLATTEN, at, to)

    def parts(self, parts: tuple[Part, ...], at: Value, to: str) -> Value:
        for part in parts:
            if isinstance(part, Join):
                at = self.join(part, at, to)
            elif isinstance(part, Auxiliary):
                self.auxiliary(part, at)
            elif isinstance(part, BlockPart):
                at = self.block(part, at, to)
            else:
                at = self.layer(part, at, to)
        return at

    def layer(self, part: Layer, at: Value, to: str) -> Value:
        fields = part.full
        if isinstance(fields.get("width"), str):
            fields["width"] = self.classes
        if part.kind == "dense" and not at.flat:
            at = self.reshape(FLATTEN, at, to)
        elif part.kind not in ANY_RANK and at.flat:
            at = self.reshape(UNFLATTEN, at, to)
        shape = LAYERS[part.kind].output(at.shape, fields)
        flat = part.kind in FLATTENING or (at.flat and part.kind in ANY_RANK)
        made = replace(part, fields=tuple(fields.items()))
        return self.module(part.kind, made, at, Value(to, shape, flat))

    def block(self, part: BlockPart, at: Value, to: str) -> Value:
        if at.flat:
            at = self.reshape(UNFLATTEN, at, to)
        width = self.classes if isinstance(part.width, str) else part.width
        shape = (width, -(-at.shape[1] // part.stride), -(-at.shape[2] // part.stride))
        return self.module(part.block, replace(part, width=width), at, Value(to, shape))

    def module(self, kind: str, part: Layer | BlockPart, at: Value, end: Value) -> Value:
        return self.step(MODULE, (at,), end, name=self.label(kind), part=part)

    def join(self, part: Join, at: Value, to: str) -> Value:
        stem = "branch" if to == SCORES else f"{to}_branch" if to.startswith("aux") else f"{to}_"
        names = [f"{stem}{number}" for number in range(1, len(part.branches) + 1)]
        ends = [self.parts(branch, at, name) for branch, name in zip(part.branches, names, strict=True)]
        flat = all(end.flat for end in ends)
        if not flat:
            pairs = zip(ends, names, strict=True)
            ends = [self.reshape(UNFLATTEN, end, name) if end.flat else end for end, name in pairs]
        first = ends[0].shape
        channels = first[0] if part.kind == ADD else sum(end.shape[0] for end in ends)
        return self.step(part.kind, tuple(ends), Value(to, (channels, *first[1:]), flat))

    def auxiliary(self, part: Auxiliary, at: Value) -> None:
        self.loss_weights.append(part.loss_weight)
        self.head = len(self.loss_weights)
        self.scores(part.parts, at, f"aux{self.head}")
        self.head = 0

    def reshape(self, op: str, at: Value, to: str) -> Value:
        channels, height, width = at.shape
        return self.step(op, (at,), Value(to, (channels * height * width, 1, 1), op == FLATTEN))

    def step(
        self,
        op: str,
        inputs: tuple[Value, ...],
        end: Value,
        name: str = "",
        part: Layer | BlockPart | None = None,
    ) -> Value:
        names = tuple(value.name for value in inputs)
        first = inputs[0]
        step = Step(op, names, end.name, end.shape, end.flat, first.shape, first.flat, name, part, self.head)
        self.steps.append(step)
        return end

    def label(self, kind: str) -> str:
        """The kind and its next number; the number after that where a block's name ends in one and they meet."""
        kind = f"aux{self.head}_{kind}" if self.head else kind
        while True:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            name = f"{kind}{self.counts[kind]}"
            if name not in self.taken:
                self.taken.add(name)
                return name
