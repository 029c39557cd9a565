"""What a block without a closed form costs, by module built on the meta device."""

import random

import pytest
import torch
from stranger_blocks import (
    Attention,
    Channelwise,
    Fourier,
    Gate,
    Ghost,
    Recurrent,
    Shrinking,
    Standardised,
    UpAgain,
    made,
    plain,
)
from torch import nn
from torch.nn import functional

from nas.blocks.measure import measure
from nas.errors import BlockError, UncountedOperator


def measured(build, shape=(8, 12, 10), width=16, stride=1):
    return measure(made(build)(), shape, width, stride, {})


def counts(cost):
    return cost.params, cost.weights, cost.macs, cost.activations


class Written(nn.Module):
    """A 3×3 convolution, then any function of its output and of the further modules."""

    def __init__(self, function, *modules, width=16):
        super().__init__()
        self.function, self.first, self.further = function, nn.Conv2d(8, width, 3, 1, 1), nn.ModuleList(modules)

    def forward(self, x):
        return self.function(self.first(x), *self.further)


def written(function, *make):
    return lambda *_: Written(function, *(one() for one in make))


def test_ghost_counts_both_convolutions():
    cost = measure(Ghost(), (8, 12, 10), 16, 2, {"kernel": 5, "ratio": 2})
    weights, pixels = 8 * 8 + 25 * 8, 6 * 5
    assert counts(cost) == (weights, weights, weights * pixels, 16 * pixels)
    assert cost.receptive_field == 9


def test_gate_counts_its_dense_layer_and_adds_no_field():
    cost = measured(Gate)
    conv, dense = 9 * 8 * 16, 16 * 16
    assert counts(cost) == (conv + dense + 16, conv + dense, conv * 120 + dense, 16 * 120 + 16)
    assert cost.receptive_field == 3


def test_attention_counts_products_of_activations_as_macs_alone():
    cost = measured(Attention)
    tokens, projections = 120, 4 * 16 * 16
    assert cost.weights == 8 * 16 + projections
    assert cost.macs == (8 * 16 + projections) * tokens + 2 * tokens * tokens * 16
    assert cost.activations == (16 + 4 * 16) * tokens


@pytest.mark.parametrize("read", [lambda y: 0, lambda y: y.flatten()[0].item()], ids=["meta", "cpu"])
def test_fused_attention_counts_two_products(read):
    def function(y):
        read(y)
        return functional.scaled_dot_product_attention(y, y, y)

    cost = measured(written(function))
    assert cost.macs == 9 * 8 * 16 * 120 + 2 * 16 * (12 * 12 * 10)
    assert cost.activations == 16 * 120
    assert cost.receptive_field is None


def test_attention_beside_a_skip_has_the_field_of_the_skip():
    assert measured(Attention).receptive_field == 1
    assert measured(lambda *numbers: Attention(*numbers, residual=False)).receptive_field is None


def test_channels_last_dense_layers_keep_the_field():
    cost = measured(Channelwise, stride=2)
    assert cost.receptive_field == 13
    assert cost.weights == 8 * 16 + 49 * 16 + 2 * 16 * 64


def test_resizing_costs_nothing_and_leaves_no_field():
    cost = measured(UpAgain)
    assert cost.macs == 9 * 8 * 16 * 120
    assert cost.receptive_field is None


def test_transposed_convolution_counts_each_input_pixel():
    cost = measured(lambda *_: nn.Sequential(nn.Conv2d(8, 4, 2, 2), nn.ConvTranspose2d(4, 16, 2, 2)))
    assert cost.macs == (4 * 8 * 4 + 4 * 16 * 4) * 30
    assert cost.activations == 4 * 30 + 16 * 120


def test_a_kernel_computed_from_its_weight_is_a_weight():
    cost = measured(lambda c, w, s: Standardised(c, w, 3, s, 1))
    assert (cost.params, cost.weights) == (9 * 8 * 16 + 16, 9 * 8 * 16)


def test_weight_norm_counts_the_direction_as_weights_and_not_the_gain():
    cost = measured(lambda *numbers: nn.utils.parametrizations.weight_norm(plain(*numbers)))
    assert (cost.params, cost.weights) == (9 * 8 * 16 + 16, 9 * 8 * 16)


def test_frozen_parameters_are_no_params():
    cost = measured(lambda *numbers: plain(*numbers).requires_grad_(False))
    assert counts(cost) == (0, 0, 9 * 8 * 16 * 120, 16 * 120)


def test_a_kernel_used_twice_counts_once_in_weights_and_twice_in_macs():
    def twice(*_):
        conv = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
        return nn.Sequential(conv, conv, nn.Conv2d(8, 16, 1, bias=False))

    assert counts(measured(twice))[:3] == (576 + 128, 576 + 128, (2 * 576 + 128) * 120)


def test_lazy_modules_are_counted_when_they_know_their_size():
    assert measured(lambda c, w, s: nn.LazyConv2d(w, 3, s, 1)).params == 9 * 8 * 16 + 16


def test_a_build_that_reads_values_is_measured_on_the_cpu():
    def build(in_channels, width, stride):
        rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        return nn.Sequential(plain(in_channels, width, stride), nn.Dropout(rates[1]))

    assert measured(build).weights == 9 * 8 * 16


@pytest.mark.parametrize(
    ("function", "field"),
    [
        (lambda y: functional.relu_(y), 3),
        (lambda y: nn.functional.hardswish(y) + functional.mish(y, inplace=True), 3),
        (lambda y: functional.max_pool2d(y, 3, 1, 1), 5),
        (lambda y: functional.avg_pool2d(y, 5, 1, 2), 7),
        (lambda y: y * functional.adaptive_avg_pool2d(y, 1), 3),
        (lambda y: y * y.amax((2, 3), keepdim=True), 3),
        (lambda y: y * y.mean(3, keepdim=True).sigmoid() * y.mean(2, keepdim=True).sigmoid(), 3),
        (lambda y: y * y.flatten(2).softmax(-1).view_as(y), 3),
        (lambda y: y.mean((2, 3), keepdim=True).expand_as(y), None),
        (lambda y: y.mean(3, keepdim=True).expand_as(y), None),
        (lambda y: functional.local_response_norm(y, 5), 3),
        (lambda y: functional.group_norm(y, 4), 3),
        (lambda y: functional.instance_norm(y), 3),
        (lambda y: functional.channel_shuffle(y, 4), 3),
        (lambda y: y.view(1, 4, 4, *y.shape[2:]).transpose(1, 2).reshape(y.shape), 3),
        (lambda y: torch.cat(list(y.chunk(2, 1))[::-1], 1), 3),
        (lambda y: torch.stack(y.unbind(1), 1), 3),
        (lambda y: y[:, list(range(15, -1, -1))], 3),
        (lambda y: y.flip(1), 3),
        (lambda y: y.flip(3), None),
        (lambda y: y.transpose(2, 3).contiguous().view_as(y), None),
        (lambda y: functional.pad(y, (0, 1, 0, 1))[:, :, 1:, 1:], None),
        (lambda y: functional.avg_pool2d(functional.pad(y, (1, 1, 1, 1), mode="reflect"), 3, 1), 5),
        (lambda y: functional.pixel_shuffle(functional.pixel_unshuffle(y, 2), 2), None),
        (lambda y: functional.adaptive_avg_pool2d(y, y.shape[2:]), 3),
        (lambda y: functional.interpolate(y, size=y.shape[2:]), 3),
        (lambda y: torch.einsum("bchw,bdhw,bdij->bcij", y, y, y), 3),
        (lambda y: (y.flatten(2) @ y.flatten(2).transpose(1, 2)).softmax(-1).matmul(y.flatten(2)).view_as(y), 3),
        (lambda y: torch.where(y > 0, y, y.new_zeros(1)), 3),
        (lambda y: y + torch.linspace(0, 1, y.shape[3]), 3),
    ],
)
def test_the_field_is_followed_through_what_moves_it(function, field):
    cost = measured(written(function))
    assert cost.receptive_field == field
    assert cost.params == 9 * 8 * 16 + 16


def test_a_strided_slice_is_a_window_of_one():
    cost = measured(
        written(lambda y, further: further(y[:, :, ::2, ::2]), lambda: nn.Conv2d(16, 16, 3, 1, 1)), stride=2
    )
    assert cost.receptive_field == 7


def test_a_write_into_part_of_a_tensor_widens_the_whole():
    def function(y, further):
        out = torch.zeros_like(y)
        out[:, :8] = y[:, :8]
        out[:, 8:] = further(y)[:, 8:]
        return out

    assert measured(written(function, lambda: nn.Conv2d(16, 16, 5, 1, 2))).receptive_field == 7


@pytest.mark.parametrize(
    ("mix", "make"),
    [
        (lambda tokens, dense: dense(tokens)[:, :, 0], lambda: nn.Linear(120, 4)),
        (lambda tokens, conv: conv(tokens.transpose(1, 2))[:, 0], lambda: nn.Conv1d(120, 4, 1)),
    ],
)
def test_a_layer_over_positions_mixes_them(mix, make):
    def function(y, further):
        return y + mix(y.flatten(2), further)[:, :, None, None]

    cost = measured(written(function, make))
    assert cost.receptive_field == 3
    assert cost.activations == 16 * 120 + 16 * 4


@pytest.mark.parametrize("shape", [(8, 1, 1), (8, 7, 5), (8, 33, 64)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("build", [Gate, Channelwise, plain])
def test_the_field_is_the_same_on_every_map(build, stride, shape):
    field = measured(build, shape=shape, stride=stride).receptive_field
    assert field == (1 + 6 * stride if build is Channelwise else 3)


def test_a_module_for_one_size_alone_is_followed_on_that():
    class OneSize(nn.Conv2d):
        def forward(self, x):
            return super().forward(x).view(1, 16, 12, 10)

    assert measured(lambda c, w, s: OneSize(c, w, 3, s, 1)).receptive_field == 3


@pytest.mark.parametrize(
    ("build", "operator"),
    [
        (Recurrent, "nn.LSTM"),
        (lambda c, w, s: Fourier(c, w, 1, s), "aten::_fft_r2c"),
        (written(lambda y: torch.cdist(y, y)), "aten::_cdist_forward"),
        (written(lambda y: functional.bilinear(y, y, torch.zeros(10, 10, 10))), "aten::_trilinear"),
    ],
)
def test_an_operator_of_unknown_cost_is_named_with_its_block(build, operator):
    with pytest.raises(UncountedOperator, match=rf"stranger\(in_channels=8, width=16, stride=1\).*{operator}"):
        measured(build)


def test_a_custom_operator_is_named():
    @torch.library.custom_op("nas_test::double", mutates_args=())
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    with pytest.raises(UncountedOperator, match="nas_test::double"):
        measured(written(lambda y: double(y)))


def test_a_wrong_shape_says_what_came_and_what_was_wanted():
    with pytest.raises(BlockError, match=r"shrinking.* an input of \[8, 12, 10\] gives \[16, 5, 4\], not \[16, 6, 5\]"):
        measure(Shrinking(), (8, 12, 10), 16, 2, {})


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda *_: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda *_: "conv", "build gave str, not an nn.Module"),
        (written(lambda y: (y, y)), "forward gave tuple, not one tensor"),
        (lambda c, w, s: nn.Conv2d(c + 1, w, 1), "RuntimeError: Invalid channel dimensions"),
        (lambda c, w, s: [one.tolist() for one in torch.zeros(2)] + [1 / 0], "ZeroDivisionError"),
        (lambda c, w, s: torch.zeros(1).item() or nn.Conv2d(c, w, 3, s), r"gives \[16, 10, 8\]"),
    ],
)
def test_what_breaks_is_a_block_error_with_the_reason(build, reason):
    with pytest.raises(BlockError, match=rf"stranger\(in_channels=8, width=16, stride=1\): .*{reason}"):
        measured(build)


def test_random_state_stays_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    measured(lambda *numbers: torch.zeros(1).item() or plain(*numbers))
    assert torch.equal(torch.rand(3), expected)


def test_nothing_is_allocated_for_a_wide_block():
    numbers = random.Random(0).sample(range(2**13, 2**14), 2)
    cost = measured(plain, shape=(numbers[0], 4096, 4096), width=numbers[1])
    assert cost.macs == 9 * numbers[0] * numbers[1] * 4096**2


def test_block_that_would_end_the_program_is_named():
    def build(*_, **__):
        raise SystemExit(0)

    with pytest.raises(BlockError, match="SystemExit"):
        measured(build)
