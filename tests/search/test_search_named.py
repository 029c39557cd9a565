"""Samplers by name, and regularised evolution."""

import random

import optuna
from optuna.trial import TrialState
from search_worlds import make, tiny

from nas.search.named import make_sampler, sampler_for
from nas.study.tables import SAMPLERS


def test_auto_goes_through_a_space_no_larger_than_the_study():
    assert sampler_for("auto", tiny(), tiny().size()) == "grid"
    assert sampler_for("auto", tiny(), tiny().size() - 1) == "budget"
    assert sampler_for("evolution", tiny(), 1) == "evolution"


def test_every_name_is_a_sampler_of_its_own():
    kinds = {type(make_sampler(name, 30, 0)).__name__ for name in SAMPLERS if name not in ("auto", "grid")}
    assert kinds == {"BudgetSampler", "TPESampler", "RandomSampler", "RegularisedEvolution", "GPSampler"}


def grown(sampler, trials):
    """An in-memory study with a population that has grown by itself."""
    space = make()
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for number in range(trials):
        trial = study.ask()
        space.draw(trial)
        study.tell(trial, random.Random(number).random())
    return space, study


def test_child_of_evolution_differs_from_its_parent_in_one_choice():
    sampler = make_sampler("evolution", 30, 0)
    space, study = grown(sampler, 20)
    changed = 0
    for _ in range(30):
        trial = study.ask()
        space.draw(trial)
        parent = sampler.parent
        common = [name for name in trial.params if name in parent]
        differ = [name for name in common if trial.params[name] != parent[name]]
        assert differ == [sampler.changed]
        new = set(trial.params) - set(parent)
        assert not new or sampler.changed.endswith((".block", "stages"))
        changed += bool(differ)
    assert changed == 30


def test_evolution_has_parents_among_the_youngest_only():
    sampler = make_sampler("evolution", 100, 0)
    space, study = grown(sampler, 80)
    youngest = [trial.params for trial in study.trials[-32:]]
    for _ in range(20):
        trial = study.ask()
        assert sampler.parent in youngest
        space.draw(trial)
        study.tell(trial, state=TrialState.FAIL)


def test_evolution_begins_at_random():
    sampler = make_sampler("evolution", 30, 0)
    grown(sampler, 8)
    assert sampler.parent == {}
