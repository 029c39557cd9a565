"""What torch finds on this machine to compute with."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from nas.arch.health import NOTE, OK, Check
from nas.net.plan import machine

BF16_UNITS = ("amx_bf16", "avx512_bf16", "bf16")
"""What the kernel calls instruction sets that multiply in bfloat16, best first."""


def check_torch() -> list[Check]:
    """Threads, instruction sets and CUDA devices."""
    return [_threads(), _processor(), _cuda()]


def _threads() -> Check:
    threads, said = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    told = f"torch computes with {threads}" + (f" (OMP_NUM_THREADS={said})" if said else "")
    return Check("threads", OK, f"{told}; each worker process of a run with one")


def _processor() -> Check:
    flags = _flags()
    units = next((name for name in BF16_UNITS if name in flags), None)
    told = machine(torch.device("cpu")).rpartition(", torch")[0]
    if units is None:
        return Check("processor", NOTE, f"{told}, no instructions for bf16", "trainings compute in fp32")
    return Check("processor", OK, f"{told}, bf16 by {units}")


def _flags() -> set[str]:
    """The instruction sets that the kernel names; none where it does not."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if line.startswith(("flags", "Features"))]
    except OSError:
        lines = []
    return set(lines[0].partition(":")[2].split()) if lines else set()


def _cuda() -> Check:
    if torch.version.cuda is None:
        return Check("CUDA", OK, "this torch is built for processors alone")
    if not torch.cuda.is_available():
        return Check("CUDA", NOTE, f"torch is built for CUDA {torch.version.cuda}, and finds no device")
    names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    told = f"{torch.version.cuda}: {', '.join(names)}"
    if is_shared():
        return Check("CUDA", OK, f"{told}; workers compute on it side by side")
    return Check("CUDA", OK, f"{told}; workers take turns on it, unless NVIDIA's multi-process service runs")


def is_shared() -> bool:
    """Whether NVIDIA's multi-process service runs for this user: processes then compute on a GPU side by side."""
    return (Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")) / "control").exists()
