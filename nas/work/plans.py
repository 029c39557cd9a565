"""Choosing how a network is trained here: what was chosen before, else what a probe finds and memory allows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from nas.arch.recipe import Recipe
from nas.arch.record import Plan
from nas.arch.spec import Architecture
from nas.blocks.registry import Blocks
from nas.blocks.trace import cost
from nas.errors import NasError
from nas.net.build import Network
from nas.net.memory import memory
from nas.net.plan import free_bytes, is_brief, machine, probe
from nas.store.engine import Storage
from nas.store.plans import get_plan, least_failed_bytes, put_plan

MOST_OF_FREE = 0.8
"""The trainings under way may together be predicted to take so much of the memory that is free."""

ROUGHLY = 80
"""A training step takes fewer bytes than this for each activation of the batch: most are far from any limit so, and
nothing finer is asked."""

FEWEST = 2
"""Batch norm cannot work on fewer images at once."""


@dataclass(frozen=True)
class Plans:
    """The plans of a study's networks on this machine, noted in the storage where there is one.

    `images`: how many a whole training shows, all epochs together. `workers`: among how many memory is shared out.
    """

    blocks: Blocks
    recipe: Recipe
    device: torch.device
    images: int
    storage: Storage | None = None
    workers: int = 1

    def of(self, network: Network) -> Plan:
        """The plan of a network; the same again whenever it is trained on such a machine from this storage."""
        architecture = network.architecture
        known = get_plan(self.storage, *self._key(architecture)) if self.storage else None
        if known is not None:
            return known
        chosen = probe(network, self.recipe, self.device, brief=self._is_brief(architecture))
        chosen = self._fitting(architecture, chosen)
        return put_plan(self.storage, *self._key(architecture), chosen) if self.storage else chosen

    def smaller(self, architecture: Architecture, plan: Plan) -> Plan | None:
        """The plan for a training that ran out of memory: half the images at once, and so from now on.

        What it was predicted to take is noted too: no network that needs as much is tried so again. None where there
        is nothing smaller.
        """
        at_once = plan.micro_batch or self.recipe.batch_size
        if at_once <= FEWEST:
            return None
        chosen = replace(plan, micro_batch=max(FEWEST, at_once // 2))
        if self.storage is None:
            return chosen
        predicted = self._predicted(architecture, plan.precision, at_once)
        return put_plan(self.storage, *self._key(architecture), chosen, replaces=True, failed_bytes=predicted or None)

    def _fitting(self, architecture: Architecture, plan: Plan) -> Plan:
        """The plan with as many images at once as are predicted to fit: all of a batch, or half, a quarter …"""
        limit = self._limit()
        if ROUGHLY * self.recipe.batch_size * cost(architecture, self.blocks).activations < limit:
            return plan
        at_once = self.recipe.batch_size
        while at_once > FEWEST and self._predicted(architecture, plan.precision, at_once) >= limit:
            at_once = max(FEWEST, at_once // 2)
        return plan if at_once == self.recipe.batch_size else replace(plan, micro_batch=at_once)

    def _is_brief(self, architecture: Architecture) -> bool:
        return is_brief(self.images * cost(architecture, self.blocks).macs, self.device)

    def _limit(self) -> int:
        """The bytes that a training must stay under."""
        free = int(MOST_OF_FREE * free_bytes(self.device) / self.workers)
        failed = least_failed_bytes(self.storage, machine(self.device)) if self.storage else None
        return free if failed is None else min(free, failed)

    def _predicted(self, architecture: Architecture, precision: str, batch: int) -> int:
        return predicted_bytes(architecture, self.blocks, self.recipe, precision, batch)

    def _key(self, architecture: Architecture) -> tuple[str, str, int, str]:
        asked = f"{self.recipe.precision} {self.recipe.memory_format}"
        if self._is_brief(architecture):
            asked += " brief"
        return machine(self.device), architecture.fingerprint, self.recipe.batch_size, asked


def predicted_bytes(architecture: Architecture, blocks: Blocks, recipe: Recipe, precision: str, batch: int) -> int:
    """The predicted peak of a training step in bytes; 0 of a network that cannot be trained at all."""
    try:
        found = memory(architecture, blocks, batch=batch, precision=precision, optimizer=recipe.optimizer)
    except NasError:
        return 0
    return found.training_peak_bytes
