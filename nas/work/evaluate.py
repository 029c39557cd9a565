"""Evaluating a trial for real: the claimed network is built, trained on the study's images, and its end told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import torch

from nas.arch.read import architecture_from_json
from nas.arch.recipe import Recipe
from nas.arch.record import COMPLETE, WAITING, Claim, Outcome
from nas.arch.spec import Architecture
from nas.blocks.registry import Blocks
from nas.errors import BlockError, NotFound, StorageError, TrainingFailed
from nas.net.batches import Batches
from nas.net.build import Network, build
from nas.net.checkpoint import read_checkpoint, weights_bytes
from nas.net.train import Trained, train
from nas.work.worker import Report, failed


@dataclass(frozen=True)
class Trainer:
    """Trains the trials of one study: its images on a device, its recipe and its seed."""

    blocks: Blocks
    batches: Batches
    recipe: Recipe
    seed: int

    def __call__(self, claim: Claim, report: Report, stopped: Callable[[], bool]) -> Outcome | None:
        """Train the claimed network; whatever breaks in it ends the trial with a reason, never the study."""
        begun = time.perf_counter()
        try:
            architecture = architecture_from_json(claim.architecture)
            network = build(architecture, self.blocks, seed=self.seed)
            trained = self._trained(network, claim, report, stopped)
        except (StorageError, NotFound):
            raise  # the database's trouble is not the network's: the trial is kept and taken up again
        except (TrainingFailed, BlockError) as error:
            return failed(str(error), claim, time.perf_counter() - begun)
        except MemoryError:
            return failed("out of memory", claim, time.perf_counter() - begun)
        except (Exception, SystemExit) as error:
            return failed(f"{type(error).__name__}: {error}", claim, time.perf_counter() - begun)
        return None if trained.state == WAITING else self._outcome(trained, network, architecture)

    def _trained(self, network: Network, claim: Claim, report: Report, stopped: Callable[[], bool]) -> Trained:
        start = read_checkpoint(claim.checkpoint) if claim.checkpoint else None
        return train(
            network, self.batches, self.recipe, seed=self.seed, start=start, on_epoch=report, should_stop=stopped
        )

    def _outcome(self, trained: Trained, network: Network, architecture: Architecture) -> Outcome:
        used = {name: self.blocks.version(name) for name in architecture.blocks if name in self.blocks}
        return Outcome(
            state=trained.state,
            accuracy=trained.accuracy,
            epochs=len(trained.history),
            seconds=trained.seconds,
            device=trained.device,
            precision=trained.precision,
            reason="behind its peers at the same epoch" if trained.state != COMPLETE else "",
            versions={"nas": version("nas"), "torch": str(torch.__version__), **used},
            weights=weights_bytes(network) if trained.state == COMPLETE else None,
        )
