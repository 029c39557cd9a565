"""Evaluating a trial for real: the claimed network is built, trained on the study's images, and its end told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from statistics import fmean

import torch

from nas.arch.read import architecture_from_json
from nas.arch.recipe import Recipe
from nas.arch.record import COMPLETE, WAITING, Claim, Outcome
from nas.arch.spec import Architecture
from nas.blocks.registry import Blocks
from nas.errors import BlockError, NotFound, OutOfMemory, StorageError, TrainingFailed
from nas.net.batches import Batches
from nas.net.build import Network, build
from nas.net.checkpoint import Checkpoint, read_checkpoint, weights_bytes
from nas.net.train import EVERY, Trained, train
from nas.store.engine import Storage
from nas.work.interval import interval
from nas.work.plans import Plans
from nas.work.repeats import last_of_each
from nas.work.worker import Report, failed


@dataclass(frozen=True)
class Trainer:
    """Trains the trials of one study: its images on a device, its recipe, its seed, and how often it trains each.

    The first training is from the study's seed, each further one from the next number; their epochs are counted on.
    How each network is computed is noted in the `storage`, if there is one. `workers` share the device's memory.
    """

    blocks: Blocks
    batches: Batches
    recipe: Recipe
    seed: int
    repeats: int = 1
    scored: str = EVERY
    storage: Storage | None = None
    workers: int = 1

    def __call__(self, claim: Claim, report: Report, stopped: Callable[[], bool]) -> Outcome | None:
        """Train the claimed network; whatever breaks in it ends the trial with a reason, never the study."""
        begun = time.perf_counter()
        try:
            architecture = architecture_from_json(claim.architecture)
            return self._repeated(architecture, claim, report, stopped)
        except (StorageError, NotFound):
            raise  # the database's trouble is not the network's: the trial is kept and taken up again
        except (TrainingFailed, BlockError) as error:
            return failed(str(error), claim, time.perf_counter() - begun)
        except MemoryError:
            return failed("out of memory", claim, time.perf_counter() - begun)
        except (Exception, SystemExit) as error:
            return failed(f"{type(error).__name__}: {error}", claim, time.perf_counter() - begun)

    def _repeated(
        self, architecture: Architecture, claim: Claim, report: Report, stopped: Callable[[], bool]
    ) -> Outcome | None:
        """Train from each seed that is left; None where that was stopped on the way."""
        start = read_checkpoint(claim.checkpoint) if claim.checkpoint else None
        first = start.seed - self.seed if start else 0
        before = [record for record in claim.epochs if record.epoch <= first * self.recipe.epochs]
        reached = last_of_each(before, self.recipe.epochs)
        seconds = sum(record.seconds for record in before)
        for repeat in range(first, self.repeats):
            told = _counted_on(report, repeat * self.recipe.epochs)
            trained, network = self._once(architecture, self.seed + repeat, start, told, stopped)
            start = None
            if trained.state == WAITING:
                return None
            assert trained.accuracy is not None
            reached.append(trained.accuracy)
            seconds += trained.seconds
        return self._outcome(trained, network, architecture, reached, seconds)

    def _once(
        self,
        architecture: Architecture,
        seed: int,
        start: Checkpoint | None,
        report: Report,
        stopped: Callable[[], bool],
    ) -> tuple[Trained, Network]:
        """One training; where memory runs out it begins anew with fewer images at once."""
        images = self.recipe.epochs * len(self.batches.train_labels)
        plans = Plans(self.blocks, self.recipe, self.batches.device, images, self.storage, self.workers)
        plan = start.plan if start else None
        while True:
            network = build(architecture, self.blocks, seed=seed)
            plan = plan or plans.of(network)
            try:
                trained = train(
                    network,
                    self.batches,
                    self.recipe,
                    seed=seed,
                    plan=plan,
                    start=start,
                    scored=self.scored,
                    on_epoch=report,
                    should_stop=stopped,
                )
                return trained, network
            except OutOfMemory:
                start, plan = None, plans.smaller(architecture, plan)
                if plan is None:
                    raise

    def _outcome(
        self, trained: Trained, network: Network, architecture: Architecture, reached: list[float], seconds: float
    ) -> Outcome:
        used = {name: self.blocks.version(name) for name in architecture.blocks if name in self.blocks}
        low, high = interval(reached)
        return Outcome(
            state=trained.state,
            accuracy=fmean(reached),
            accuracy_low=low,
            accuracy_high=high,
            epochs=len(trained.history),
            seconds=seconds,
            device=trained.device,
            precision=trained.precision,
            reason="behind its peers at the same epoch" if trained.state != COMPLETE else "",
            versions={"nas": version("nas"), "torch": str(torch.__version__), **used},
            weights=weights_bytes(network) if trained.state == COMPLETE else None,
        )


def _counted_on(report: Report, epochs: int) -> Report:
    """The same report, for a training that so many epochs of earlier ones precede."""
    return lambda record, checkpoint: report(replace(record, epoch=record.epoch + epochs), checkpoint)
