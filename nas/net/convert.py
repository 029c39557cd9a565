"""Dense layers as convolutions, and convolutions as dense layers: the same function in the other's weights.

Source: Shelhamer, Long and Darrell, "Fully Convolutional Networks for Semantic Segmentation", 2017, section 3.1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.arch.cost import Shape
from nas.errors import ArchitectureError


def dense_to_convolution(linear: nn.Linear, shape: Shape) -> nn.Conv2d:
    """The convolution, kernel (H, W) and no padding, that does to a map (C, H, W) what the dense layer does flattened.

    (N, C, H, W) -> (N, out_features, 1, 1), and on a larger map a map. It shares the layer's weights in memory, none
    is copied. Raises ArchitectureError where the layer does not take C·H·W numbers.
    """
    channels, height, width = shape
    if linear.in_features != channels * height * width:
        raise ArchitectureError(
            f"a map of {list(shape)} flattened has {channels * height * width:,} numbers; "
            f"the dense layer takes {linear.in_features:,}"
        )
    convolution = nn.Conv2d(channels, linear.out_features, (height, width), bias=linear.bias is not None, device="meta")
    convolution.weight = nn.Parameter(linear.weight.detach().view(-1, *shape))
    if linear.bias is not None:
        convolution.bias = nn.Parameter(linear.bias.detach())
    return convolution.train(linear.training)


def convolution_to_dense(convolution: nn.Conv2d, shape: Shape) -> nn.Linear:
    """The dense layer that does to a flattened map (C, H, W) what the convolution does: (N, C·H·W) -> (N, K·H'·W').

    Its weights are the convolution's, repeated for every output pixel (equality), and zero wherever the window does
    not reach (nullity); padding, stride, dilation and groups of any kind. Raises ArchitectureError where the
    convolution does not take such a map.
    """
    channels, height, width = shape
    if channels != convolution.in_channels:
        raise ArchitectureError(f"a map of {list(shape)}: the convolution takes {convolution.in_channels} channels")
    pixels = _pixels(convolution, height, width)
    outputs, places = convolution.out_channels, torch.arange(pixels.shape[1])
    kernels = convolution.weight.detach().flatten(2)
    # One column more, the first: where the padding's zeros would stand.
    weight = kernels.new_zeros(outputs, pixels.shape[1], channels, 1 + height * width)
    filters, inputs = outputs // convolution.groups, channels // convolution.groups
    for group in range(convolution.groups):
        own = slice(group * filters, (group + 1) * filters)
        part = weight[own, :, group * inputs : (group + 1) * inputs]
        for tap, seen in enumerate(pixels):
            part[:, places, :, seen] += kernels[own, :, tap]
    return _linear(weight[..., 1:].reshape(outputs * len(places), -1), convolution)


def _pixels(convolution: nn.Conv2d, height: int, width: int) -> Tensor:
    """(taps, output pixels): the input pixel, counted from 1, that each tap of the window meets; 0 is padding."""
    numbers = torch.arange(1, height * width + 1, dtype=torch.float64).view(1, 1, height, width)
    mode = "constant" if convolution.padding_mode == "zeros" else convolution.padding_mode
    try:
        padded = F.pad(numbers, _padding(convolution), mode)
        windows = F.unfold(padded, convolution.kernel_size, convolution.dilation, stride=convolution.stride)
    except RuntimeError as error:
        raise ArchitectureError(f"a map of {height}×{width} pixels is too small for {convolution}") from error
    return windows[0].long()


def _padding(convolution: nn.Conv2d) -> tuple[int, int, int, int]:
    """Left, right, top, bottom; of an odd sum, as "same" may need, the right and the bottom have one more."""
    if convolution.padding == "valid":
        return 0, 0, 0, 0
    if convolution.padding == "same":
        down, across = (d * (k - 1) for k, d in zip(convolution.kernel_size, convolution.dilation, strict=True))
        return across // 2, across - across // 2, down // 2, down - down // 2
    down, across = (int(side) for side in convolution.padding)
    return across, across, down, down


def _linear(weight: Tensor, convolution: nn.Conv2d) -> nn.Linear:
    """The layer of these weights; every output pixel of a channel has the channel's bias."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=convolution.bias is not None, device="meta")
    linear.weight = nn.Parameter(weight)
    if convolution.bias is not None:
        repeats = weight.shape[0] // convolution.out_channels
        linear.bias = nn.Parameter(convolution.bias.detach().repeat_interleave(repeats))
    return linear.train(convolution.training)
