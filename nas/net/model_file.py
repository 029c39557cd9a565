"""The text of `model.py`: a network as a module that needs torch and nothing of this program."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas.arch.cost import Shape
from nas.net.batches import Normalisation
from nas.net.build import Network
from nas.net.definitions import Definitions, definitions
from nas.net.source import WIDTH, Calls, Expression, Expressions, Group, NoSource, written
from nas.net.steps import ADD, CONCAT, FLATTEN, MODULE, Step

_TAKEN: dict[str, Any] = {
    "torch": torch,
    "nn": nn,
    "json": json,
    "Path": Path,
    **dict.fromkeys(("MEAN", "STD", "CLASSES", "DTYPES", "Network")),
    **dict.fromkeys(("normalise", "build", "load", "read_safetensors", "__name__")),
}
"""Names that the text uses itself."""


@dataclass(frozen=True)
class Heading:
    """What the text says of the network: lines of its docstring, pixel statistics, and the classes' names."""

    lines: Sequence[str]
    normalisation: Normalisation
    class_names: Sequence[str]


def model_text(network: Network, calls: Calls, heading: Heading) -> str:
    """The source of a network built while its calls were recorded.

    Raises NoSource, naming block and reason, where a module's source cannot go along.
    """
    expressions = Expressions(calls)
    modules = [(step, _expression(step, network, expressions)) for step in network.plain_steps if step.op == MODULE]
    carried = definitions(dict.fromkeys(expressions.own), _TAKEN)
    imports = {*carried.imports, *(f"import {name}" for name in expressions.imports)}
    parts = [
        _docstring(heading.lines),
        "from __future__ import annotations",
        _import_lines(imports),
        _constants(heading),
        *carried.sections,
        _network(network, modules, carried),
        _FUNCTIONS,
    ]
    return "\n\n".join(parts[:4]) + "\n\n\n" + "\n\n\n".join(parts[4:])


def _expression(step: Step, network: Network, expressions: Expressions) -> Expression:
    try:
        return expressions.module(network.get_submodule(step.name))
    except NoSource as error:
        block = getattr(step.part, "block", step.name)
        raise NoSource(f"block {block!r}: {error}") from error


def _docstring(lines: Sequence[str]) -> str:
    wrapped = [textwrap.fill(line, WIDTH - 3, break_on_hyphens=False) for line in lines]
    text = "\n".join(wrapped).replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{text}\n"""'


def _import_lines(imports: set[str]) -> str:
    """Standard library first, then torch, as formatters want them."""
    lines = sorted({*imports, "import json", "from pathlib import Path", "import torch", "from torch import nn"})
    torches = [line for line in lines if line.split()[1].split(".")[0] == "torch"]
    others = [line for line in lines if line not in torches]
    blocks = [sorted(block, key=lambda line: (line.startswith("from"), line)) for block in (others, torches)]
    return "\n\n".join("\n".join(block) for block in blocks)


def _constants(heading: Heading) -> str:
    values = (
        ("MEAN", heading.normalisation.mean, "Mean of each channel over the training images."),
        ("STD", heading.normalisation.std, "Standard deviation of each channel."),
        ("CLASSES", tuple(heading.class_names), "What each score stands for."),
    )
    rows = [(f"{name} = ", Expressions({}).value(value), text) for name, value, text in values]
    return "\n".join(f'{head}{_filled(value, len(head))}\n"""{text}"""' for head, value, text in rows)


def _filled(value: Expression, used: int) -> str:
    """A tuple on one line, or as many to a line as go there."""
    line = written(value, {}, 0, used)
    if "\n" not in line or not isinstance(value, Group):
        return line
    rows = ["   "]
    for word in (f" {written(item, {})}," for _, item in value.items):
        if len(rows[-1] + word) > WIDTH:
            rows.append("   ")
        rows[-1] += word
    return "\n".join(["(", *rows, ")"])


def _network(network: Network, modules: Sequence[tuple[Step, Expression]], carried: Definitions) -> str:
    channels, height, width = network.architecture.input
    shapes = f"(N, {channels}, {height}, {width}) normalised images to (N, {network.architecture.classes}) scores"
    lines = [f'class Network(nn.Module):\n    """{shapes}."""\n', "    def __init__(self) -> None:"]
    lines.append("        super().__init__()")
    for step, expression in modules:
        head = f"        self.{step.name} = "
        lines.append(f"{head}{written(expression, carried.names, 8, len(head))}")
    lines.append("\n    def forward(self, x: torch.Tensor) -> torch.Tensor:")
    lines.append(f'        """{shapes}."""')
    lines += [f"        {_statement(step)}  # {_shape(step)}" for step in network.plain_steps]
    return "\n".join([*lines, "        return x"])


def _statement(step: Step) -> str:
    if step.op == MODULE:
        right = f"self.{step.name}({step.inputs[0]})"
    elif step.op == ADD:
        right = " + ".join(step.inputs)
    elif step.op == CONCAT:
        right = f"torch.cat([{', '.join(step.inputs)}], dim=1)"
    elif step.op == FLATTEN:
        right = f"torch.flatten({step.inputs[0]}, 1)"
    else:
        right = f"{step.inputs[0]}[:, :, None, None]"
    return f"{step.output} = {right}"


def _shape(step: Step) -> str:
    shape: Shape | tuple[int] = step.shape[:1] if step.flat else step.shape
    return f"(N, {', '.join(map(str, shape))})"


_FUNCTIONS = '''def normalise(images: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) pixels in the units of the training images, as the network wants them."""
    mean, std = (torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (MEAN, STD))
    return (images.float() - mean) / std


def build() -> Network:
    """The untrained network."""
    return Network()


def load(path: str | Path | None = None) -> Network:
    """The trained network, ready for use; its weights lie beside this file unless a path is given."""
    network = build()
    network.load_state_dict(read_safetensors(path or Path(__file__).with_name("weights.safetensors")))
    return network.eval()


DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_safetensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors by name: eight bytes say the length of a JSON header, which says where each one lies."""
    data = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            raw = data[start + first : start + last]
            values = torch.frombuffer(raw, dtype=torch.uint8) if raw else torch.empty(0, dtype=torch.uint8)
            tensors[name] = values.view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors
'''
