"""Dense layers as convolutions and back, on real tensors."""

import pytest
import torch
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas.errors import ArchitectureError
from nas.net.convert import convolution_to_dense, dense_to_convolution

MODES = ("zeros", "reflect", "replicate", "circular")


def same(layer, image, convolution):
    return torch.allclose(layer(image.flatten(1)), convolution(image).flatten(1), atol=1e-9)


def test_a3_kernel_of_the_dense_layer_is_the_convolution_s_with_equality_and_nullity():
    convolution = nn.Conv2d(1, 1, 3)
    layer = convolution_to_dense(convolution, (1, 4, 4))
    top, middle, bottom = convolution.weight.detach()[0, 0]
    gap = torch.zeros(1)
    first = torch.cat([top, gap, middle, gap, bottom, gap, torch.zeros(4)])
    assert torch.equal(layer.weight, torch.stack([first.roll(shift) for shift in (0, 1, 4, 5)]))
    assert torch.equal(layer.bias, convolution.bias.repeat(4))


@st.composite
def convolutions(draw):
    """A convolution of any kind with a map that it takes."""
    groups, size = draw(st.integers(1, 3)), st.integers(1, 6)
    kernel, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(2))
    strides, mode = draw(st.tuples(st.integers(1, 3), st.integers(1, 3))), draw(st.sampled_from(MODES))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)) | st.sampled_from(["same", "valid"]))
    with torch.random.fork_rng():
        torch.manual_seed(draw(st.integers(0, 99)))
        made = nn.Conv2d(
            groups * draw(st.integers(1, 2)),
            groups * draw(st.integers(1, 2)),
            kernel,
            stride=1 if padding == "same" else strides,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=draw(st.booleans()),
            padding_mode=mode,
            dtype=torch.float64,
        )
        return made, torch.rand(2, made.in_channels, draw(size), draw(size), dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(convolutions())
def test_any_convolution_is_a_dense_layer_or_neither_takes_the_map(drawn):
    convolution, image = drawn
    try:
        convolution(image)
    except RuntimeError:
        with pytest.raises(ArchitectureError, match="too small"):
            convolution_to_dense(convolution, tuple(image.shape[1:]))
        return
    assert same(convolution_to_dense(convolution, tuple(image.shape[1:])), image, convolution)


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(st.tuples(*[st.integers(1, 4)] * 3), st.integers(1, 5), st.booleans())
def test_any_dense_layer_is_a_convolution(shape, outputs, bias):
    layer = nn.Linear(shape[0] * shape[1] * shape[2], outputs, bias=bias, dtype=torch.float64)
    convolution = dense_to_convolution(layer, shape)
    assert same(layer, torch.rand(2, *shape, dtype=torch.float64), convolution)
    assert convolution.weight.data_ptr() == layer.weight.data_ptr()


def test_there_and_back_is_the_same_layer():
    layer = nn.Linear(2 * 3 * 4, 5).eval()
    again = convolution_to_dense(dense_to_convolution(layer, (2, 3, 4)), (2, 3, 4))
    assert torch.equal(again.weight, layer.weight)
    assert torch.equal(again.bias, layer.bias)
    assert not again.training


def test_a_converted_layer_learns():
    convolution = dense_to_convolution(nn.Linear(8, 2), (2, 2, 2))
    convolution(torch.rand(1, 2, 2, 2)).sum().backward()
    assert convolution.weight.grad is not None


def test_a15_on_a_larger_image_a_dense_layer_gives_a_map():
    check_head(outputs=16)


@pytest.mark.slow
def test_a15_whole():
    assert check_head(outputs=4096).weight.numel() == 102_760_448


def check_head(outputs):
    """A 7×7×512 head as a convolution, on 7×7 and on 9×9 pixels."""
    layer = nn.Linear(512 * 7 * 7, outputs, bias=False)
    image = torch.rand(1, 512, 9, 9, generator=torch.Generator().manual_seed(0))
    convolution = dense_to_convolution(layer, (512, 7, 7))
    with torch.no_grad():
        found = convolution(image)
        for row, column in ((0, 0), (1, 1), (2, 1)):
            crop = image[:, :, row : row + 7, column : column + 7]
            assert torch.allclose(found[:, :, row, column], layer(crop.flatten(1)), atol=1e-5)
            assert torch.allclose(convolution(crop).flatten(1), layer(crop.flatten(1)), atol=1e-5)
    assert found.shape == (1, outputs, 3, 3)
    return convolution


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (
            lambda: dense_to_convolution(nn.Linear(10, 2), (1, 3, 3)),
            "flattened has 9 numbers; the dense layer takes 10",
        ),
        (lambda: convolution_to_dense(nn.Conv2d(2, 2, 3), (1, 3, 3)), "the convolution takes 2 channels"),
        (lambda: convolution_to_dense(nn.Conv2d(1, 2, 3), (1, 2, 5)), "2×5 pixels is too small"),
    ],
)
def test_shapes_that_do_not_meet_are_named(convert, message):
    with pytest.raises(ArchitectureError, match=message):
        convert()
