"""Spaces that a sampler is tried on, and asking it."""

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution

FLAT = {
    "kind": CategoricalDistribution(["a", "b", "c"]),
    **{f"width{number}": IntDistribution(8, 64, step=8) for number in range(1, 4)},
}


KINDS = {"a": 1, "b": 2, "c": 4}


WIDE = {f"kind{number}": CategoricalDistribution(range(12)) for number in range(6)}


def cost(named):
    widths = [named[f"width{number}"] for number in range(1, 4)]
    params = KINDS[named["kind"]] * (widths[0] * widths[1] + widths[1] * widths[2])
    return {"params": params, "macs": params + 1000 * widths[0]}


def quality(named):
    """Best for kind b with its widths rising, whatever it costs."""
    first, second, third = (named[f"width{number}"] for number in range(1, 4))
    return (named["kind"] == "b") * 50 - abs(first - 24) - abs(second - 40) - abs(third - 56)


def ask(study, distributions=FLAT):
    trial = study.ask()
    for name, one in distributions.items():
        if isinstance(one, IntDistribution):
            trial.suggest_int(name, one.low, one.high, step=one.step)
        else:
            trial.suggest_categorical(name, one.choices)
    return trial


def searched(sampler, asks, direction="maximize"):
    study = optuna.create_study(direction=direction, sampler=sampler)
    sign = 1 if direction == "maximize" else -1
    for _ in range(asks):
        trial = ask(study)
        study.tell(trial, sign * quality(trial.params))
    return study


def keys(study):
    return [tuple(sorted(trial.params.items())) for trial in study.trials]


def apart(one, other):
    return sum(one[name] != other[name] for name in one)
