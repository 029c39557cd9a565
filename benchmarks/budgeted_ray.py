"""Ray Tune: ASHA stops trainings early, Optuna's TPE picks the networks, one trial a core.

    pip install 'ray[tune]'
    python benchmarks/budgeted_ray.py contest.json        # as budgeted_search.py calls it

A trial over the budget reports an accuracy of 0 and ends. The training is the plain PyTorch loop.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import Any

# Before Ray is imported: no report home, and no token in the user's folder for a cluster that lives minutes.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}

import ray
from budgeted_contest import COMPLETE, Contest, Given, PlainTraining, read_contest
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from nas.study.space import Space


def trial(config: dict[str, Any], place: str) -> None:
    """Train one network, and report after each epoch."""
    contest = read_contest(place)
    network = contest.asked(Given(config), contest.space())
    if network is None:
        tune.report({"accuracy": 0.0})
        return
    reached = 0.0
    for epoch, reached in enumerate(PlainTraining(contest)(network), start=1):
        if epoch == contest.epochs:
            contest.tell(COMPLETE, network.architecture, reached)
        tune.report({"accuracy": reached})


def draw(space: Space, suggest: Any) -> None:
    """What Ray calls a space: a function that asks for its choices."""
    space.draw(suggest)


def tuner(contest: Contest, place: str, seconds: float) -> tune.Tuner:
    """The search."""
    space = partial(draw, contest.space())
    search = OptunaSearch(space=space, metric="accuracy", mode="max", seed=contest.seed)
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(trial, place=place), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=ASHAScheduler(metric="accuracy", mode="max", max_t=contest.epochs),
            num_samples=contest.trials,
            time_budget_s=seconds,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name="budgeted", storage_path=contest.folder, verbose=0),
    )


def main() -> None:
    """Search until the time is over."""
    begun = time.monotonic()
    contest = read_contest(sys.argv[1])
    ray.init(num_cpus=contest.cores, include_dashboard=False, log_to_driver=False)
    tuner(contest, os.path.abspath(sys.argv[1]), contest.seconds - (time.monotonic() - begun)).fit()
    ray.shutdown()


if __name__ == "__main__":
    main()
