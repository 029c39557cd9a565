"""KerasTuner with `max_model_size`, Keras 3 on torch: its random search, by a chief and a process for each core.

    pip install keras keras-tuner grpcio
    python benchmarks/budgeted_keras.py contest.json        # as budgeted_search.py calls it

Each network of the space is translated layer by layer (train_keras.py): equal in shapes and parameters, so that it can
be trained anew as the architecture file that it was drawn as. It is fitted by Adam, cropped and mirrored by Keras'
layers. Left to itself KerasTuner ends after three networks over the size in a row, so it is told to go on.

Of its tuners random search serves best here. Hyperband counts networks over the size as failed, and has too few left
for its later rounds; Bayesian optimisation takes some 40 CPU seconds for one proposal once it has its first results
(measured: KerasTuner 1.4.8, 38 choices), a good part of a training.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

# Keras chooses its backend when it is imported.
import keras_tuner
import numpy as np
import torch
from budgeted_contest import BATCH, BEGUN, BLOCKS, COMPLETE, OVER, REFUSED, Contest, read_contest
from train_keras import keras, translated
from train_plain import STATISTICS

from nas.arch.spec import Architecture
from nas.errors import BlockError
from nas.net.build import build, trainable


class Picked:
    """KerasTuner's hyperparameters, as the space asks for them."""

    def __init__(self, choices: keras_tuner.HyperParameters) -> None:
        self.choices = choices

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """A number from low to high in steps."""
        return int(self.choices.Int(name, low, high, step=step))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of the choices."""
        return self.choices.Choice(name, list(choices), ordered=False)


class Networks(keras_tuner.HyperModel):
    """The space; `searching` once networks are asked for in earnest, and not to learn what may be chosen."""

    def __init__(self, contest: Contest) -> None:
        super().__init__()
        self.contest, self.space, self.searching = contest, contest.space(), False

    def build(self, choices: keras_tuner.HyperParameters) -> keras.Model:
        """The compiled model of what was chosen."""
        architecture = self.space.architecture(self.space.draw(Picked(choices)))
        try:
            network = build(architecture, BLOCKS)
        except BlockError as error:
            self._tell(REFUSED, architecture)
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        over = trainable(network) > self.contest.params
        self._tell(OVER if over else BEGUN, architecture)
        mean, deviation = STATISTICS[self.contest.dataset]
        model = translated(network, mean=mean, variance=tuple(one**2 for one in deviation))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        model.architecture = architecture
        return model

    def fit(self, choices: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Train a model; its best epoch's validation accuracy is what KerasTuner keeps."""
        fitted = model.fit(*args, **kwargs)
        reached = max(fitted.history["val_accuracy"])
        self.contest.tell(COMPLETE, model.architecture, reached)
        return fitted

    def _tell(self, event: str, architecture: Architecture) -> None:
        if self.searching:
            self.contest.tell(event, architecture)


def search(contest: Contest) -> None:
    """The search of one process, or the chief's service to them all."""
    networks = Networks(contest)
    tuner = keras_tuner.RandomSearch(
        networks,
        objective="val_accuracy",
        max_trials=contest.trials,
        max_consecutive_failed_trials=contest.trials,
        max_model_size=contest.params,
        seed=contest.seed,
        directory=contest.folder,
        project_name="keras",
    )
    networks.searching = True
    with np.load(contest.arrays) as arrays:
        images, held = (_with_channels(arrays[name]) for name in ("x_train", "x_validation"))
        labels, held_labels = arrays["y_train"], arrays["y_validation"]
    given = {"epochs": contest.epochs, "batch_size": BATCH, "verbose": 0}
    tuner.search(images, labels, validation_data=(held, held_labels), **given)


def _with_channels(images: np.ndarray) -> np.ndarray:
    return images if images.ndim == 4 else images[..., None]


def main() -> None:
    """Start the chief and a process for each core; as one of them, search."""
    contest = read_contest(sys.argv[1])
    if "KERASTUNER_TUNER_ID" in os.environ:
        torch.manual_seed(contest.seed)
        search(contest)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    command = [sys.executable, str(Path(__file__)), sys.argv[1]]
    names = ["chief", *(f"tuner{number}" for number in range(contest.cores))]
    processes = [subprocess.Popen(command, env=shared | {"KERASTUNER_TUNER_ID": name}) for name in names]
    codes = [process.wait() for process in processes]
    if any(codes):
        sys.exit("a process of the search failed; the lines above say why")


if __name__ == "__main__":
    main()
