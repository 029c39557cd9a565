"""The same networks in Keras 3 on its torch backend, trained by `model.fit`.

Needs Keras beside torch: `pip install keras`. Layer by layer from the steps of the network; equal in shapes and
parameters, not in numbers: Keras pads strided convolutions at one end alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("KERAS_BACKEND", "torch")

# Keras chooses its backend when it is imported.
import keras
import numpy as np
from keras import layers
from torch import nn

from nas.net.build import Network, trainable
from nas.net.steps import FLATTEN, MODULE
from nas_plugins.bottleneck import BottleneckUnit
from nas_plugins.inception import InceptionUnit

Tensor = keras.KerasTensor

MEAN = (0.4914, 0.4822, 0.4465)
VARIANCE = (0.2470**2, 0.2435**2, 0.2616**2)


class PaddedCrop(layers.Layer):
    """Keras' own padding and cropping, one window for a whole batch; at inference, where its crop does not, nothing."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.pad = layers.ZeroPadding2D(4)
        self.crop = layers.RandomCrop(height, width)

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Nothing to make: there are no weights."""
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """(N, H, W, C) to the same shape."""
        return self.crop(self.pad(images), training=True) if training else images


def translated(network: Network, *, mean: Sequence[float] = MEAN, variance: Sequence[float] = VARIANCE) -> keras.Model:
    """The Keras model of a network on images in bytes, with cropping, mirroring and normalising in front.

    Raises NotImplementedError on a layer that none of the built-in blocks has.
    """
    channels, height, width = network.architecture.input
    last = keras.config.image_data_format() == "channels_last"
    images = keras.Input((height, width, channels) if last else (channels, height, width), dtype="uint8")
    x = layers.RandomFlip("horizontal")(PaddedCrop(height, width)(images))
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Normalization(axis=-1 if last else 1, mean=mean, variance=variance)(x)
    for step in network.steps:
        if step.op == MODULE:
            x = _layer(network.get_submodule(step.name), x)
        elif step.op != FLATTEN:  # the average over the map has already flattened it
            raise NotImplementedError(step.op)
    model = keras.Model(images, x)
    found = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert found == trainable(network), f"{found} params in Keras, {trainable(network)} in torch"
    return model


def compiled(model: keras.Model) -> keras.Model:
    """The model with the optimizer and loss of the plain loop."""
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def laid_out(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) as Keras is set to take them, usually (N, H, W, C)."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if _axis() == -1 else images


def _layer(module: nn.Module, x: Tensor) -> Tensor:
    if isinstance(module, BottleneckUnit):
        return _bottleneck(module, x)
    if isinstance(module, InceptionUnit):
        return layers.Concatenate(axis=_axis())(
            [_layer(branch, x) for branch in (module.one, module.three, module.large, module.pool)]
        )
    if isinstance(module, nn.Sequential):
        for part in module:
            x = _layer(part, x)
        return x
    return _plain(module, x)


def _bottleneck(unit: BottleneckUnit, x: Tensor) -> Tensor:
    y = _layer(unit.up, layers.ReLU()(_layer(unit.middle, layers.ReLU()(_layer(unit.down, x)))))
    return layers.ReLU()(layers.Add()([y, x]) if unit.skip else y)


def _plain(module: nn.Module, x: Tensor) -> Tensor:
    if isinstance(module, nn.Conv2d):
        return _convolution(module, x)
    if isinstance(module, nn.BatchNorm2d):
        return layers.BatchNormalization(axis=_axis(), momentum=1 - (module.momentum or 0), epsilon=module.eps)(x)
    if isinstance(module, nn.ReLU):
        return layers.ReLU()(x)
    if isinstance(module, nn.MaxPool2d):
        return layers.MaxPooling2D(module.kernel_size, module.stride, padding="same")(x)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return layers.GlobalAveragePooling2D()(x)
    if isinstance(module, nn.Linear):
        return layers.Dense(module.out_features)(x)
    if isinstance(module, nn.ChannelShuffle):
        return _shuffled(module.groups, x)
    raise NotImplementedError(type(module).__name__)


def _convolution(module: nn.Conv2d, x: Tensor) -> Tensor:
    given = {"strides": module.stride, "padding": "same", "use_bias": module.bias is not None}
    if module.groups == module.in_channels == module.out_channels > 1:
        return layers.DepthwiseConv2D(module.kernel_size, **given)(x)
    return layers.Conv2D(module.out_channels, module.kernel_size, groups=module.groups, **given)(x)


def _shuffled(groups: int, x: Tensor) -> Tensor:
    """The channel shuffle, by the usual reshape, permute, reshape."""
    shape = x.shape[1:]
    if _axis() == -1:
        parted = layers.Reshape((*shape[:2], groups, shape[2] // groups))(x)
        return layers.Reshape(shape)(layers.Permute((1, 2, 4, 3))(parted))
    parted = layers.Reshape((groups, shape[0] // groups, *shape[1:]))(x)
    return layers.Reshape(shape)(layers.Permute((2, 1, 3, 4))(parted))


def _axis() -> int:
    return -1 if keras.config.image_data_format() == "channels_last" else 1
