"""How a network is computed on this machine: a probe of well under a second times what there is to choose from."""

from __future__ import annotations

import copy
import math
import platform
import resource
import time
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.arch.recipe import BF16, CHANNELS_LAST, CONTIGUOUS, FP32, Recipe
from nas.arch.record import Plan
from nas.net.build import Network
from nas.net.replay import replayed
from nas.net.score import loss_of

USUAL = Plan(FP32, CHANNELS_LAST)
"""What another plan must beat by `MARGIN`; so near one another the noise would decide, anew every time."""

MARGIN = 0.05

ROUNDS = 3
REPEATS = 5
"""Steps of a GPU between two looks at the clock."""

STEP_SECONDS = 0.045
"""A timed step of the fastest plan takes about so long: the images for it are as few as that needs."""

WORTH_MACS = {"cpu": 5 * 10**10, "cuda": 2 * 10**12}
"""A training of fewer multiply-adds, all images and epochs together, is over in seconds: nothing is timed for it."""

HOPELESS = 3.0
"""A plan so many times slower than the fastest on two images is not timed on more."""

FIRST_SECONDS = 0.05
"""What a first step may take longer than later ones: kernels are made in it."""

UNBOUNDED = 2**62

_FORMATS = {CONTIGUOUS: torch.contiguous_format, CHANNELS_LAST: torch.channels_last}


def options(recipe: Recipe, device: torch.device) -> list[Plan]:
    """The plans that a recipe leaves open, the usual one first if it is among them."""
    precisions = [FP32, BF16] if recipe.precision == "auto" else [recipe.precision]
    formats = [CHANNELS_LAST, CONTIGUOUS] if recipe.memory_format == "auto" else [recipe.memory_format]
    found = [Plan(precision, layout) for precision in precisions for layout in formats]
    # On a CPU, bf16 is fast in the layout of its matrix units or not at all.
    slow = Plan(BF16, CONTIGUOUS)
    return [plan for plan in found if plan != slow or device.type != "cpu" or len(found) == 1]


def is_brief(macs: int, device: torch.device) -> bool:
    """Whether a training of so many multiply-adds, forward, of all images it shows, is too short for a whole probe."""
    return macs < WORTH_MACS[device.type]


def probe(network: Network, recipe: Recipe, device: torch.device, *, brief: bool = False) -> Plan:
    """The plan by which training steps of a network take least time here; of a `brief` training the usual one.

    The network is left as it is. A recipe that names both precision and memory format is taken at its word. A plan
    that breaks is left out; where all do, the training will say why.
    """
    open_plans = options(recipe, device)
    if brief or len(open_plans) == 1:
        return open_plans[0]
    if device.type == "cuda":
        return _fastest(_on_cuda(network, open_plans, recipe.batch_size, device))
    with torch.random.fork_rng(devices=[]):
        seconds = _screened([Timed(network, plan, device) for plan in open_plans])
        if not seconds:
            return open_plans[0]
        per_image = min(seconds.values()) / 2
        count = max(2, min(recipe.batch_size, int(STEP_SECONDS / per_image)))
        return _fastest(_in_turn(list(seconds), count))


def _screened(contenders: list[Timed]) -> dict[Timed, float]:
    """The contenders that are not hopeless, with the seconds of a step on two images; the first use is not timed."""
    found: dict[Timed, float] = {}
    for timed in contenders:
        first = timed.step(2)
        if first is None or first > HOPELESS * min(found.values(), default=first) + FIRST_SECONDS:
            continue
        found[timed] = min(timed.step(2) or first, timed.step(2) or first)
    least = min(found.values(), default=0.0)
    return {timed: seconds for timed, seconds in found.items() if seconds <= HOPELESS * least}


def _in_turn(contenders: list[Timed], count: int) -> dict[Plan, float]:
    """The least seconds of each contender's steps on so many images, in turn, after a first that is not timed."""
    least = {timed.plan: math.inf for timed in contenders}
    for number in range(1 + ROUNDS):
        for timed in contenders:
            seconds = timed.step(count)
            if number and seconds is not None:
                least[timed.plan] = min(least[timed.plan], seconds)
    return least


def _on_cuda(network: Network, plans: list[Plan], count: int, device: torch.device) -> dict[Plan, float]:
    """The seconds of a step of each plan on whole batches, recorded as a training records it."""
    found = {}
    with torch.random.fork_rng(devices=[device]):
        for plan in plans:
            with suppress(Exception):  # told by the training itself, if all plans break
                found[plan] = Timed(network, plan, device).recorded(count)
    return found or {plans[0]: 0.0}


def _fastest(seconds: dict[Plan, float]) -> Plan:
    fastest = min(seconds, key=lambda plan: seconds[plan])
    if USUAL in seconds and seconds[USUAL] <= (1 + MARGIN) * seconds[fastest]:
        return USUAL
    return fastest


class Timed:
    """A copy of a network laid out by a plan, to be timed."""

    def __init__(self, network: Network, plan: Plan, device: torch.device) -> None:
        self.plan, self.device = plan, device
        self.network = laid_out(copy.deepcopy(network), plan, device).train()
        self.shape = network.architecture.input

    def step(self, count: int) -> float | None:
        """Seconds of one step, forward and backward; None where it breaks."""
        images, labels = self.batch(count)
        images = as_laid_out(images, self.plan)
        begun = self._now()
        try:
            self.gradients(images, labels)
        except Exception:  # told by the training itself, if all plans break
            return None
        return self._now() - begun

    def recorded(self, count: int) -> float:
        """The least seconds of one step on a GPU, recorded where it can be."""
        images, labels = self.batch(count)
        gradients, least = replayed(self.gradients, self.network, images, labels), math.inf
        for _ in range(1 + ROUNDS):
            begun = self._now()
            for _ in range(REPEATS):
                gradients(images, labels)
            least = min(least, self._now() - begun)
        return least / REPEATS

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Noise, channels last as all images are, and labels."""
        images = torch.randn(count, *self.shape, device=self.device).contiguous(memory_format=torch.channels_last)
        return images, torch.zeros(count, dtype=torch.int64, device=self.device)

    def gradients(self, images: Tensor, labels: Tensor) -> Tensor:
        """Put the gradients of the loss in place of the last ones; gives the loss."""
        self.network.zero_grad()
        with computing(self.plan, self.device):
            loss = loss_of(self.network, as_laid_out(images, self.plan), labels, 0.0)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _now(self) -> float:
        """Seconds on a clock that other processes do not disturb: this thread's own on a CPU."""
        if self.device.type != "cuda":
            return time.thread_time()
        torch.cuda.synchronize(self.device)
        return time.perf_counter()


def laid_out(network: Network, plan: Plan, device: torch.device) -> Network:
    """The network on the device, its kernels in the plan's memory format; changed in place."""
    moved: Network = network.to(device, memory_format=_FORMATS[plan.memory_format])  # type: ignore[call-overload]
    if plan.memory_format == CHANNELS_LAST and device.type == "cpu":
        for module in moved.modules():
            if type(module) is nn.Conv2d and _skips(module):
                module.__class__ = SkippingConv2d
    return moved


def _skips(convolution: nn.Conv2d) -> bool:
    """Whether a convolution looks at single pixels, and not at all of them."""
    alone = convolution.kernel_size == (1, 1) and convolution.padding in ((0, 0), "valid")
    return alone and convolution.stride != (1, 1)


class SkippingConv2d(nn.Conv2d):
    """A 1×1 convolution with strides as one without over the pixels that it looks at: the same sums.

    Where a pixel has fewer channels than a vector holds, oneDNN's own writes beyond its memory in the backward pass,
    with channels last on a CPU: wrong gradients, or the end of the process. Source: oneDNN's issue 6035, open in 2026.
    """

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, width, ⌈H / stride⌉, ⌈W / stride⌉)."""
        rows, columns = self.stride
        return functional.conv2d(images[:, :, ::rows, ::columns], self.weight, self.bias, groups=self.groups)


def as_laid_out(images: Tensor, plan: Plan) -> Tensor:
    """Images (N, C, H, W) in the plan's memory format."""
    return images.contiguous(memory_format=_FORMATS[plan.memory_format])


def computing(plan: Plan, device: torch.device) -> torch.autocast:
    """Meanwhile convolutions and dense layers compute in the plan's precision; weights and sums stay in fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == BF16)


def machine(device: torch.device) -> str:
    """What a plan holds for: the processor's name and what torch uses of it, or the CUDA device's; torch's version."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def free_bytes(device: torch.device) -> int:
    """How many bytes a training could still take on a device; as many as there can be where that is not told."""
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what this process keeps in reserve is free to it
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_reading("/proc/meminfo", "MemAvailable"), _left_of_limit(), _left_of_group())


def _left_of_limit() -> int:
    """Bytes that the process may still take of its own limit on addresses."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return UNBOUNDED if limit == resource.RLIM_INFINITY else limit - _reading("/proc/self/status", "VmSize")


def _left_of_group() -> int:
    """Bytes that the control group of a container may still take."""
    group = Path("/sys/fs/cgroup")
    try:
        most, taken = ((group / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current"))
    except OSError:
        return UNBOUNDED
    return int(most) - int(taken) if most.isdecimal() else UNBOUNDED


def _reading(place: str, name: str) -> int:
    """A line of the kernel's, `name: 123 kB`, in bytes."""
    try:
        lines = Path(place).read_text(encoding="ascii").splitlines()
    except OSError:
        return UNBOUNDED
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(found[0]) if found else UNBOUNDED
