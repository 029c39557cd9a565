"""What a stranger's database holds is data: texts that look like code run nowhere, odd bytes are a named error."""

import json
import random
import struct

import pytest
import torch

from nas.arch.record import EpochRecord
from nas.blocks.registry import load_blocks
from nas.errors import ArchitectureError, TrainingFailed
from nas.net.batches import Normalisation
from nas.net.build import build
from nas.net.checkpoint import Checkpoint, checkpoint_bytes, load_weights, read_checkpoint, weights_bytes
from nas.net.export import export

ENDINGS = [
    '"""\n{}\n"""',
    "'''\n{}\n'''",
    "\n{}",
    "\r{}",
    "\\\n{}",
    '"); {} #',
    "\\N{{DASH}}{}",
    "\u2028{}",
    '""""""{}',
]


@pytest.mark.parametrize("ending", ENDINGS)
def test_text_that_would_leave_its_quotes_runs_nothing(small, tmp_path, ending):
    mark = tmp_path / "sprung"
    text = ending.format(f"open({str(mark)!r}, 'w')")
    out = tmp_path / "out"
    export(
        small,
        load_blocks(load=()),
        out,
        weights=None,
        metrics={"study": text},
        normalisation=Normalisation((5.0,), (6.0,)),
        class_names=[text] * small.classes,
        title=[f"Trial 1 of {text}"],
    )
    made = next(path for path in out.iterdir() if path.suffix in (".py", ".pt2"))
    if made.suffix == ".py":
        exec(compile(made.read_text(encoding="utf-8"), "model.py", "exec"), {"__name__": "model"})
    assert not mark.exists()


@pytest.fixture
def network(small):
    torch.manual_seed(0)
    return build(small, load_blocks(load=()))


def with_header(header, rest=b""):
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + rest


ODD = {
    "empty": b"",
    "short": b"\x01",
    "huge header": struct.pack("<Q", 2**62) + b"{}",
    "no json": with_header(b"x" * 10),
    "deep json": with_header(b"[" * 100_000),
    "list": with_header([]),
    "no tensors": with_header({}),
    "beyond the end": with_header({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}),
    "negative": with_header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)),
    "strange type": with_header({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, bytes(1)),
    "pickle": b"\x80\x04cposix\nsystem\n(S'echo'\ntR.",
    "zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_bytes_are_no_weights_and_no_checkpoint(network, case):
    with pytest.raises(ArchitectureError):
        load_weights(network, ODD[case])
    with pytest.raises(TrainingFailed):
        read_checkpoint(ODD[case])


@pytest.mark.parametrize("training", ["[" * 10_000, "3", "[]", "{}", '{"history": 3, "seed": 0, "recipe": ""}', "x"])
def test_checkpoint_that_says_nonsense_is_a_named_error(training):
    header = {"__metadata__": {"training": training}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    with pytest.raises(TrainingFailed, match="the checkpoint cannot be read"):
        read_checkpoint(with_header(header, bytes(4)))


def test_damaged_bytes_are_read_or_a_named_error(network):
    draws = random.Random(0)
    kept = Checkpoint(dict(network.state_dict()), {}, (EpochRecord(1, 0.5, 1.0, 1.0, 0.1),), 0, "r")
    for content, read, error in (
        (weights_bytes(network), lambda data: load_weights(network, data), ArchitectureError),
        (checkpoint_bytes(kept), read_checkpoint, TrainingFailed),
    ):
        for _ in range(200):
            damaged = bytearray(content)
            for _ in range(draws.randint(1, 4)):
                damaged[draws.randrange(min(len(damaged), 900))] = draws.randrange(256)
            try:
                read(bytes(damaged))
            except error:
                continue
