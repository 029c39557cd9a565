"""NNI: its TPE picks the networks, its Medianstop ends trainings early, one trial a core.

    pip install nni "filelock<3.9" "typeguard>=3,<4"     # 3.0, in an environment of its own: with newer ones it hangs
    python benchmarks/budgeted_nni.py contest.json        # as budgeted_search.py calls it

Every trial is a process, as NNI has it, those over the budget too, which report an accuracy of 0. The training is the
plain PyTorch loop.
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nni
import torch
from budgeted_contest import COMPLETE, Contest, Given, PlainTraining, read_contest
from nni.experiment import Experiment

from nas.study.space import Space

ENDED = ("DONE", "ERROR", "STOPPED")


class Declaring:
    """A picker that notes all there is to choose, one block type at a time, in the widest networks."""

    def __init__(self, block: int) -> None:
        self.block = block
        self.declared: dict[str, dict[str, Any]] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """The most, so that there are all stages."""
        self.declared[name] = {"_type": "choice", "_value": list(range(low, high + 1, step))}
        return high

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The block type in question, or the first choice."""
        self.declared[name] = {"_type": "choice", "_value": list(choices)}
        return choices[self.block] if name.endswith(".block") else choices[0]


def declared(space: Space) -> dict[str, Any]:
    """The space as NNI wants it: every choice there may be, whether or not another one asks for it."""
    found: dict[str, Any] = {}
    for block in range(len(space.blocks)):
        picker = Declaring(block)
        space.draw(picker)
        found |= picker.declared
    return found


def trial(contest: Contest) -> None:
    """Train the network that NNI chose."""
    network = contest.asked(Given(nni.get_next_parameter()), contest.space())
    reached = 0.0
    if network is not None:
        torch.manual_seed(contest.seed)
        for reached in PlainTraining(contest)(network):
            nni.report_intermediate_result(reached)
        contest.tell(COMPLETE, network.architecture, reached)
    nni.report_final_result(reached)


def experiment(contest: Contest, place: str) -> Experiment:
    """The search."""
    made = Experiment("local")
    made.config.trial_command = f"{sys.executable} {Path(__file__).absolute()} {Path(place).absolute()} trial"
    made.config.trial_code_directory = contest.folder
    made.config.experiment_working_directory = str(Path(contest.folder).parent / "nni")
    made.config.search_space = declared(contest.space())
    made.config.tuner.name = "TPE"
    made.config.tuner.class_args = {"optimize_mode": "maximize", "seed": contest.seed}
    made.config.assessor.name = "Medianstop"
    made.config.assessor.class_args = {"optimize_mode": "maximize"}
    made.config.max_trial_number = contest.trials
    made.config.trial_concurrency = contest.cores
    return made


def main() -> None:
    """Search until somebody ends it; as a trial, train."""
    begun = time.monotonic()
    contest = read_contest(sys.argv[1])
    if sys.argv[2:] == ["trial"]:
        trial(contest)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    made = experiment(contest, sys.argv[1])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        made.start(port)
        while (status := made.get_status()) not in ENDED and time.monotonic() - begun < contest.seconds:
            time.sleep(1)
        if status == "ERROR":
            sys.exit("NNI gave up; the lines above say why")
    finally:
        made.stop()


if __name__ == "__main__":
    main()
