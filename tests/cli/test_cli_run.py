"""`nas run` and `nas profile` in this process, on digits, in seconds."""

import json

import pytest

STUDY = """
name = "tiny"
dataset = "digits"
[budget]
params = "{params}"
[space]
blocks = {blocks}
kernels = [3]
widths = [8]
stages = [{stages}]
depths = [1]
stem = {{kernels = [3], widths = [8]}}
[search]
trials = 2
sampler = "random"
pruner = "none"
[train]
epochs = 1
batch_size = 256
"""


@pytest.fixture
def study(home):
    """Writes the study file."""

    def write(params="6k", blocks=("conv", "separable"), stages=2):
        (home / "tiny.toml").write_text(STUDY.format(params=params, blocks=json.dumps(blocks), stages=stages))
        return "tiny.toml"

    return write


def test_run_prints_the_ranking_and_tells_each_trial(study, nas, nas_json):
    told = nas("run", study(), "--workers", 0, "--device", "cpu", "-f", "json")
    assert told.code == 0
    rows = json.loads(told.out)
    assert [row["rank"] for row in rows] == [1, 2]
    lines = told.err.splitlines()
    assert lines[0].startswith("trial 0  complete  0.")
    assert "(2/2)" in lines[1]
    assert lines[2].startswith("tiny: 2 of 2 trials (2 complete, 0 pruned, 0 failed, 0 reused) in ")
    assert nas_json("best", "tiny") == rows


def test_run_again_with_more_trials_goes_on(study, nas):
    nas("run", study(), "--workers", 0)
    told = nas("run", study(), "--workers", 0, "--trials", 3)
    assert [line.split()[1] for line in told.err.splitlines()[:-1]] == ["2"]
    assert "3 of 3 trials" in told.err


def test_run_says_when_every_network_is_known(study, nas):
    told = nas("run", study(blocks=["conv"], stages=1), "--workers", 0, "--trials", 9)
    assert told.code == 0
    assert told.err.splitlines()[-1].endswith("; every network of the space is known")


def test_run_tells_all_mistakes_and_creates_nothing(study, nas, home):
    told = nas("run", study(blocks=["cnov"]), "--set", "train.epohcs=3")
    assert told.code == 1
    assert all(line.startswith("Error: tiny.toml: ") for line in told.err.splitlines())
    assert len(told.err.splitlines()) == 2
    assert not (home / "nas.db").exists()


def test_run_and_profile_of_a_budget_that_nothing_meets_are_3(study, nas, home):
    file = study(params=100)
    ran, profiled = nas("run", file), nas("profile", file)
    assert (ran.code, profiled.code) == (3, 3)
    assert "the smallest has" in ran.err
    assert "budget.params: no network has at most 100; the smallest has " in profiled.err
    assert profiled.out.startswith("feasible")
    assert not (home / "nas.db").exists()


def test_profile_json_has_the_fields_of_the_contract(study, nas_json, nas):
    found = nas_json("profile", study())
    assert list(found) == [
        *("feasible", "space_size", "share_feasible", "params", "blocks", "scaled", "smallest_budget"),
        *("seconds_expected", "fewest_draws"),
    ]
    assert found["fewest_draws"] is None
    assert found["feasible"] is True
    assert list(found["params"]) == ["min", "median", "max"]
    assert set(found["blocks"]) == {"conv", "separable"}
    assert nas("profile", "tiny.toml", "-f", "csv").rows[0]["params.min"] == str(found["params"]["min"])


def test_usage_errors_of_run(study, nas):
    file = study()
    for words in (["--timeout", "soon"], ["--workers", "-1"], ["--trials", "0"], ["--device", "tpu"]):
        assert nas("run", file, *words).code == 2, words
    assert nas("run").code == 2
    assert nas("run", "none.toml").code == 1
