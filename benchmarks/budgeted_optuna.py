"""The plain Optuna script, as people write it: TPE, MedianPruner, SQLite, as many processes as cores.

    python benchmarks/budgeted_optuna.py contest.json        # as budgeted_search.py calls it

Each trial picks a network of the space, prunes itself where that has too many parameters, and trains by the plain
PyTorch loop. The blocks are those of `nas`, built by `nas.build`: whoever wrote them by hand would have the same
networks, and so each can be trained anew as an architecture file.
"""

from __future__ import annotations

import sys
import time
from multiprocessing import Process

import optuna
import torch
from budgeted_contest import COMPLETE, Contest, PlainTraining, read_contest

NAME = "budgeted"


def work(contest: Contest, storage: str, number: int, seconds: float) -> None:
    """One process of the search."""
    torch.set_num_threads(1)
    torch.manual_seed(contest.cores * contest.seed + number)
    space, train = contest.space(), PlainTraining(contest)

    def objective(trial: optuna.Trial) -> float:
        network = contest.asked(trial, space)
        if network is None:
            raise optuna.TrialPruned
        reached = 0.0
        for epoch, reached in enumerate(train(network)):
            trial.report(reached, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        contest.tell(COMPLETE, network.architecture, reached)
        return reached

    study = optuna.load_study(
        study_name=NAME,
        storage=storage,
        sampler=optuna.samplers.TPESampler(seed=contest.cores * contest.seed + number),
        pruner=optuna.pruners.MedianPruner(),
    )
    enough = optuna.study.MaxTrialsCallback(contest.trials, states=None)
    study.optimize(objective, timeout=seconds, callbacks=[enough])


def main() -> None:
    """Start the processes, and wait for them."""
    begun = time.monotonic()
    contest = read_contest(sys.argv[1])
    storage = f"sqlite:///{contest.folder}/optuna.db"
    optuna.create_study(study_name=NAME, storage=storage, direction="maximize")
    left = contest.seconds - (time.monotonic() - begun)
    processes = [Process(target=work, args=(contest, storage, number, left)) for number in range(contest.cores)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit("a process of the search failed; the lines above say why")


if __name__ == "__main__":
    main()
