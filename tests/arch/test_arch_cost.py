"""The algebra of output sizes, weights and receptive fields."""

import itertools

import pytest
import torch
from torch import nn

from nas.arch.cost import Cost, CostPath, Field, convolution, dense, window
from nas.arch.layers import LAYERS, filled


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "out"),
    [(4, 3, 1, 0, 2), (5, 3, 1, 1, 5), (32, 5, 1, 0, 28), (227, 11, 4, 0, 55), (224, 7, 2, 3, 112)],
)
def test_output_size_of_known_layers(size, kernel, stride, padding, out):
    assert window(size, kernel, stride, padding) == out


@pytest.mark.parametrize("ceil", [False, True])
def test_output_size_is_that_of_pytorch_pooling(ceil):
    for size, kernel, stride in itertools.product(range(1, 15), range(1, 6), range(1, 5)):
        for padding in range(kernel // 2 + 1):
            if size + 2 * padding < kernel:
                continue
            pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
            out = pool(torch.zeros(1, 1, size, size, device="meta")).shape[-1]
            assert window(size, kernel, stride, padding, ceil=ceil) == out, (size, kernel, stride, padding)


def test_output_size_is_that_of_pytorch_convolution():
    sizes = itertools.product(range(1, 12), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2))
    for size, kernel, stride, padding, dilation in sizes:
        if size + 2 * padding <= dilation * (kernel - 1):
            continue
        conv = nn.Conv2d(1, 1, kernel, stride, padding, dilation, device="meta")
        out = conv(torch.zeros(1, 1, size, size, device="meta")).shape[-1]
        assert window(size, kernel, stride, padding, dilation) == out


def test_a_convolution_counts_kernel_bias_and_batch_norm():
    cost = convolution((8, 9, 5), 16, (3, 1), (2, 1), groups=2, bias=True, affine=True)
    weights = 3 * 1 * 4 * 16
    assert cost.output == (16, 5, 5)
    assert (cost.weights, cost.params, cost.macs) == (weights, weights + 16 + 32, weights * 25)
    assert (cost.activations, cost.receptive_field) == (16 * 25, 3)


def test_dilation_widens_the_window():
    cost = convolution((4, 20, 20), 4, 3, padding=4, dilation=4)
    assert (cost.receptive_field, cost.output) == (9, (4, 20, 20))


def test_a_dense_layer_sees_the_flattened_map():
    cost = dense((512, 7, 7), 4096)
    assert (cost.weights, cost.params, cost.activations) == (102_760_448, 102_764_544, 4096)


def test_a_dense_layer_on_a_large_image():
    assert dense((3, 512, 512), 100).weights == 78_643_200


def test_sums_take_the_larger_field_and_an_unknown_one_stays_unknown():
    total = Cost(1, 2, 3, 4, 5) + Cost(10, 20, 30, 40, 3)
    assert (total.params, total.weights, total.macs, total.activations, total.receptive_field) == (11, 22, 33, 44, 5)
    assert (total + Cost(receptive_field=None)).receptive_field is None


def test_field_grows_by_the_jump():
    field = Field().after(3, 2).after((5, 3)).after(2, 2)
    assert field == Field(3 + 8 + 2, 3 + 4 + 2, 4, 4)
    assert field.largest == 13


def test_a_path_pools_and_names_its_layers():
    path = CostPath((8, 9, 9)).pool(3, 2).conv(16, 1, name="one").conv(16, 3, norm="none")
    assert path.shape == (16, 5, 5)
    assert [layer.name for layer in path.layers] == ["one", "conv2"]
    assert [layer.receptive_field for layer in path.layers] == [3, 7]
    assert [layer.params for layer in path.layers] == [8 * 16 + 32, 9 * 256 + 16]


def test_derived_defaults_follow_the_other_fields():
    assert filled("conv", {"width": 4, "kernel": (7, 1)})["padding"] == (3, 0)
    assert filled("max_pool", {"size": 3})["stride"] == 3


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_every_layer_tells_shape_cost_and_field(kind):
    needed = {"width": 6, "kernel": 3, "size": 2, "groups": 2}
    given = {name: needed[name] for name, rule in LAYERS[kind].rules.items() if rule.required}
    fields = filled(kind, given)
    output = LAYERS[kind].output((6, 8, 8), fields)
    assert len(output) == 3
    assert min(output) >= 1
    assert LAYERS[kind].cost((6, 8, 8), fields).params >= 0
    assert LAYERS[kind].field(Field(), fields).largest >= 1
