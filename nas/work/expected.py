"""How long a study is expected to take here: a few steps timed on networks as the search would propose them."""

from __future__ import annotations

from statistics import mean, median

from nas.arch.record import VALIDATION
from nas.arch.spec import Architecture
from nas.data.split import study_split
from nas.net.augment import augmentation_of
from nas.net.batches import Batches, make_batches
from nas.net.build import build
from nas.net.plan import Timed, probe
from nas.net.train import use_one_thread
from nas.search.costs import Costs
from nas.search.profile import typical
from nas.work.prepare import Study

START_SECONDS = 4.0
"""What it takes to start worker processes."""

PROBES, STEPS = 3, 3
"""So many networks are timed, so many steps each, after one to warm up."""

VALIDATION_SHARE = 1 / 3
"""An image costs about a third in validation of what it costs in training: no gradients."""


def seconds_expected(study: Study, workers: int) -> float:
    """Trials times the seconds of a training on one core, shared among the workers; no weight is changed."""
    use_one_thread()
    recipe = study.file.recipe
    split = study_split(study.images, study.file.seed, recipe.images, study.file.scored_on)
    batches = make_batches(split, recipe.batch_size, augmentation=augmentation_of(recipe))
    networks, trials = _networks(study)
    step = mean(_step_seconds(study, batches, network) for network in networks)
    validation = VALIDATION_SHARE * len(batches.validation_labels) / recipe.batch_size
    scored = recipe.epochs if study.file.scored_on == VALIDATION else 1
    training = (recipe.epochs * batches.steps + scored * validation) * step
    return START_SECONDS + study.file.repeats * training * trials / min(workers, trials)


def _networks(study: Study) -> tuple[list[Architecture], int]:
    """The networks to be timed, and how many are to be trained: a comparison's own, or some typical of a search."""
    if study.space is None:
        return [one.architecture for one in study.listed], len(study.listed)
    costs = Costs(study.space, study.blocks, study.file.budget)
    draws = typical(costs, PROBES, fill=study.file.search.fill)
    trials = min(study.file.search.trials, study.space.size())
    return [study.space.architecture(draw) for draw in draws], trials


def _step_seconds(study: Study, batches: Batches, architecture: Architecture) -> float:
    """The median seconds of a step: a batch forward and backward, as a worker would compute it."""
    recipe = study.file.recipe
    network = build(architecture, study.blocks, seed=study.file.seed)
    plan = probe(network, recipe, batches.device)
    timed = Timed(network, plan, batches.device)
    seconds = [timed.step(recipe.batch_size) for _ in range(1 + STEPS)]
    known = [value for value in seconds[1:] if value is not None]
    return median(known) if known else 0.0
