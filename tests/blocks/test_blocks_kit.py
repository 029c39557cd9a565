"""The conformance kit: it finds what is wrong, and only that."""

import re
import subprocess
import sys

import pytest
import torch
from stranger_blocks import Attention, Gate, Ghost, Liar, Recurrent, Shrinking, UpAgain, made, plain
from torch import nn

from nas.blocks.base import Block
from nas.testing import BlockContract, check_block


def failing(block):
    return {finding.name: finding.problems for finding in check_block(block) if not finding.passed}


class TestGhost(BlockContract):
    block = Ghost


class TestLocal(BlockContract):
    block = made(lambda *numbers: Gate(*numbers), name="gate")
    exports_source = False


@pytest.mark.parametrize("module", [Gate, Attention, UpAgain])
def test_an_honest_stranger_passes(module):
    assert failing(made(lambda *numbers: module(*numbers))) == {}


def test_an_instance_is_checked_as_its_type():
    assert [finding.passed for finding in check_block(Ghost())] == [True] * 9


def test_a_lie_about_cost_fails_cost_alone():
    found = failing(Liar)
    assert list(found) == ["cost"]
    assert found["cost"][0].startswith("block 'liar': cost declares 1 params for in_channels=8, width=16, stride=1 on")


def test_a_wrong_shape_fails_with_the_sizes():
    found = failing(Shrinking)
    assert {"shape", "cost"} <= set(found)
    assert "Kernel size" in found["shape"][0] or "gives (2, 16, 5, 5), not (2, 16, 7, 7)" in found["shape"][0]


def test_operators_of_unknown_cost_fail_cost():
    assert "nn.LSTM" in failing(made(lambda *numbers: Recurrent(*numbers)))["cost"][0]


class Cut(nn.Conv2d):
    def forward(self, x):
        return super().forward(x).detach() + 0 * self.bias.sum() + x.sum() * 0


def test_a_parameter_without_gradient_is_named():
    found = failing(made(lambda c, w, s: Cut(c, w, 3, s, 1)))
    assert found["gradient"] == tuple(
        f"stranger(in_channels=8, width=16, stride={stride}): no gradient reaches parameter {name}"
        for stride in (1, 2, 3)
        for name in ("weight", "bias")
    )


class Exploding(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) / (self.weight - self.weight).sum()


def test_a_gradient_that_is_not_finite_is_named():
    problems = failing(made(lambda c, w, s: Exploding(c, w, 3, s, 1)))["gradient"]
    assert "the gradient of parameter weight is not finite" in problems[0]


def test_gates_that_start_at_zero_pass():
    class Zero(nn.Module):
        def __init__(self, *numbers):
            super().__init__()
            self.conv, self.gate = plain(*numbers), nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return self.gate * self.conv(x)

    assert failing(made(lambda *numbers: Zero(*numbers))) == {}


def test_hidden_randomness_is_found():
    generator = torch.Generator().manual_seed(1)

    class Random(nn.Conv2d):
        def __init__(self, *numbers):
            super().__init__(*numbers)
            nn.init.normal_(self.weight, generator=generator)

    found = failing(made(lambda c, w, s: Random(c, w, 3, s, 1)))
    assert "weight differs between two builds from one seed" in found["determinism"][0]


def test_output_that_differs_by_call_is_found():
    generator = torch.Generator().manual_seed(1)

    class Noisy(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) + torch.rand(1, generator=generator)

    assert "two outputs" in failing(made(lambda c, w, s: Noisy(c, w, 3, s, 1)))["determinism"][0]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"choices": {"act": ("relu",)}}, "strange.build: got an unexpected keyword argument 'act'; .* declare act"),
        ({"options": {"act": "relu"}}, "strange.build: got an unexpected keyword argument 'act'"),
        ({"cost": lambda self, shape, width, stride, *, kernel: None}, "strange.cost: missing a required .*'kernel'"),
        ({"valid": lambda self, width: True}, "strange.valid: too many positional arguments; .* declare nothing"),
    ],
)
def test_a_signature_that_does_not_fit_the_declaration_is_named(members, reason):
    (problem,) = failing(type("Strange", (made(plain, name="strange"),), members))["signatures"]
    assert re.search(reason, problem)


def test_a_choice_that_is_allowed_but_breaks_is_named():
    def build(self, in_channels, width, stride, *, groups):
        return nn.Conv2d(in_channels, width, 1, stride, groups=groups)

    found = failing(type("Split", (Block,), {"name": "split", "choices": {"groups": (1, 3)}, "build": build}))
    assert found["choices"][0].startswith(
        "split(in_channels=8, width=16, stride=1, groups=3) is allowed, but: ValueErr"
    )
    assert all("groups=1" not in problem for problem in found["choices"])


def test_a_block_that_vetoes_everything_fails():
    never = type("Never", (made(plain, name="never"),), {"valid": lambda self, *_: False})
    assert "never: vetoes everything" in failing(never)["choices"][0]


def test_a_veto_that_breaks_fails_in_one_line():
    broken = type("Broken", (made(plain, name="broken"),), {"valid": lambda self, *_: 1 / 0})
    assert "valid failed: ZeroDivisionError" in failing(broken)["shape"][0]


def test_an_unsound_declaration_is_the_only_finding():
    (finding,) = check_block(made(plain, name="not a name"))
    assert (finding.name, finding.passed) == ("declaration", False)


def test_what_cannot_go_as_source_is_a_note_and_no_failure():
    class Inner(nn.Conv2d):
        pass

    *_, export = check_block(made(lambda c, w, s: Inner(c, w, 1, s)))
    assert (export.name, export.passed) == ("export", True)
    assert export.notes[0].endswith("it is exported as model.pt2")


def test_the_contract_fails_with_every_problem_of_a_check():
    contract = type("TestLiar", (BlockContract,), {"block": Liar})()
    with pytest.raises(AssertionError, match=r"(?s)declares 1 params.*declares 1 macs"):
        contract.test_cost_is_that_of_the_built_module()


def test_random_state_stays_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    check_block(Ghost)
    assert torch.equal(torch.rand(2), expected)


def test_the_kit_needs_no_pytest():
    code = "import sys; sys.modules['pytest'] = sys.modules['_pytest'] = None; import nas.testing"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
