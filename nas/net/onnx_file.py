"""A network as an ONNX file, for runtimes other than PyTorch; needs the packages of the extra `onnx`."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor

from nas.errors import ExportError
from nas.net.build import Network

try:
    import onnx
    import onnx.reference
    import onnxscript  # noqa: F401 (torch.onnx needs it)
except ImportError:
    onnx = None  # type: ignore[assignment]


def check_onnx() -> None:
    """Raise ExportError where the packages are not installed."""
    if onnx is None:
        raise ExportError("--onnx needs the packages onnx and onnxscript: pip install 'nas[onnx]'")


def write_onnx(network: Network, images: Tensor, path: Path) -> None:
    """Write the network for any number of images (N, C, H, W), and check it against ONNX's own reference.

    Raises ExportError where an operator has no ONNX form, or the file gives other scores.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shapes = ({0: torch.export.Dim("images")},)
            program = torch.onnx.export(
                network, (images,), dynamo=True, dynamic_shapes=shapes, input_names=["images"], verbose=False
            )
            assert program is not None
            program.save(str(path), external_data=False)
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
        [given] = onnx.reference.ReferenceEvaluator(model).run(None, {"images": images.numpy()})
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ExportError(f"the network cannot be written as ONNX: {reason}") from error
    with torch.no_grad():
        wanted = network(images)
    if not torch.allclose(torch.from_numpy(given), wanted, rtol=1e-4, atol=1e-5):
        raise ExportError("model.onnx gives other scores than the network")
