"""What Optuna and MLflow take to say which trial was best, each in its own tables on SQLite."""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import optuna


def rivals(folder: Path, trials: int, times: int) -> dict[str, Any]:
    """Milliseconds of either at so many trials; a line where one cannot be asked."""
    found: dict[str, Any] = {"trials": trials}
    for name, ask in (("optuna", _optuna), ("mlflow", _mlflow)):
        try:
            found[name] = ask(folder, trials, times)
        except ImportError as error:
            found[name] = f"not installed: {error}"
        print(f"  {name} at {trials:,} trials: {found[name]}", flush=True)
    return found


def _optuna(folder: Path, trials: int, times: int) -> dict[str, Any]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url, draws = f"sqlite:///{folder / 'optuna.db'}", random.Random(0)
    study = optuna.create_study(storage=url, study_name="rival", directions=["maximize", "minimize"])
    one = optuna.create_study(storage=url, study_name="single", direction="maximize")
    widths = {f"width{place}": optuna.distributions.IntDistribution(8, 64) for place in range(8)}
    begun = time.perf_counter()
    for _ in range(trials):
        params = {name: draws.randint(8, 64) for name in widths}
        made = optuna.trial.create_trial(
            values=[draws.random(), draws.randrange(10**6)], params=params, distributions=widths
        )
        study.add_trial(made)
        one.add_trial(optuna.trial.create_trial(value=draws.random(), params=params, distributions=widths))
    filled = time.perf_counter() - begun

    def fresh(name: str) -> optuna.Study:
        return optuna.load_study(storage=url, study_name=name)

    return {
        "trials_a_second": round(2 * trials / filled, 1),
        "best_trial": _milliseconds(lambda: fresh("single").best_trial, times),
        "best_trials": _milliseconds(lambda: fresh("rival").best_trials, times),
    }


def _mlflow(folder: Path, trials: int, times: int) -> dict[str, Any]:
    entities = importlib.import_module("mlflow.entities")
    tracking = importlib.import_module("mlflow.tracking")
    client, draws = tracking.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}"), random.Random(0)
    experiment = client.create_experiment("rival", artifact_location=str(folder / "artifacts"))
    begun = time.perf_counter()
    for number in range(trials):
        run = client.create_run(experiment).info.run_id
        metrics = [("accuracy", draws.random()), ("params", draws.randrange(10**6))]
        client.log_batch(run, [entities.Metric(name, value, number, 0) for name, value in metrics])
        client.set_terminated(run)
    filled = time.perf_counter() - begun

    def asked(limit: str) -> Any:
        return client.search_runs([experiment], limit, max_results=10, order_by=["metrics.accuracy DESC"])

    return {
        "trials_a_second": round(trials / filled, 1),
        "search_runs": _milliseconds(lambda: asked(""), times),
        "search_runs_params": _milliseconds(lambda: asked("metrics.params <= 200000"), times),
    }


def _milliseconds(ask: Callable[[], Any], times: int) -> dict[str, float]:
    spent = []
    for _ in range(min(times, 3)):
        begun = time.perf_counter()
        ask()
        spent.append(1000 * (time.perf_counter() - begun))
    return {"median_ms": round(median(spent), 2), "least_ms": round(min(spent), 2), "most_ms": round(max(spent), 2)}
