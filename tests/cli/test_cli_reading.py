"""`nas studies`, `status`, `trials`, `best` and `rm` over a filled storage."""

import pytest
from cli_worlds import study_record

from nas.store.engine import open_storage
from nas.store.studies import create_study

BEST_FIELDS = [
    *("rank", "study", "trial", "architecture", "body", "accuracy", "accuracy_low", "accuracy_high", "repeats"),
    *("test_accuracy", "test_low", "test_high", "params", "weights", "macs", "activations", "receptive_field"),
    *("auxiliary_params", "depth", "blocks", "dataset", "epochs", "seed", "seconds", "reused", "precision", "name"),
]


def test_best_json_has_the_fields_of_the_contract(world, nas_json):
    rows = nas_json("best", "alpha")
    assert [list(row) for row in rows] == [BEST_FIELDS] * 4
    assert rows[0]["blocks"] == ["stacked"]
    assert len(rows[0]["architecture"]) == 32
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]


def test_best_over_all_studies_ranks_each_data_set_anew(world, nas_json):
    rows = nas_json("best")
    assert [(row["study"], row["rank"]) for row in rows[-2:]] == [("alpha", 4), ("beta", 1)]
    assert [row["study"] for row in nas_json("best", "--dataset", "other.npz")] == ["beta"]


def test_best_table_has_percent_thousands_and_short_fingerprints(world, nas):
    lines = nas("best", "alpha").out.splitlines()
    assert lines[0].split()[:5] == ["rank", "study", "trial", "architecture", "accuracy"]
    words = lines[1].split()
    assert "97.57 % " in lines[1]
    assert len(words[3]) == 10
    assert "2,682" in words


def test_best_csv_has_header_and_joined_lists(world, nas):
    told = nas("best", "alpha", "-f", "csv", "--top", "1")
    assert told.out.splitlines()[0].split(",") == BEST_FIELDS
    assert told.rows[0]["blocks"] == "stacked"
    assert told.rows[0]["reused"] == "false"
    assert told.rows[0]["test_accuracy"] == ""


@pytest.mark.parametrize(
    ("words", "trials"),
    [
        (["--max-params", "0.35k"], [1, 0]),
        (["--max-macs", "10k"], [1, 0]),
        (["--max-weights", "2700"], [2, 1, 0, 3]),
        (["--max-activations", "600"], [0, 3]),
        (["--min-receptive-field", "5"], [2]),
        (["--block", "gone"], [3]),
        (["--pareto", "params"], [2, 1, 0]),
        (["--top", "2"], [2, 1]),
        (["--max-params", "10"], []),
    ],
)
def test_best_filters(world, nas_json, words, trials):
    assert [row["trial"] for row in nas_json("best", "alpha", *words)] == trials


def test_front_says_its_hypervolume(world, nas, nas_json):
    rows = nas_json("best", "alpha", "--pareto", "params")
    assert len(rows) == 3
    told = nas("best", "alpha", "--pareto", "params", "--max-params", "20000", "--top", "1")
    area, reached = 0.0, 0.0
    for row in reversed(rows):
        area += (row["accuracy"] - reached) * (20_000 - row["params"])
        reached = row["accuracy"]
    volume = f"{area / 20_000:.4f} of accuracy 0 to 1 by params 0 to 20,000"
    assert told.err == f"{rows[0]['dataset']}: 3 on the front, hypervolume {volume}\n"
    largest = max(row["params"] for row in rows)
    assert nas("best", "alpha", "--pareto", "params").err.endswith(f"by params 0 to {largest:,}\n")
    assert nas("best", "alpha", "--pareto", "params", "--max-params", "10").err == ""


def test_empty_ranking_is_an_empty_list_or_a_header(world, nas):
    assert nas("best", "--block", "none_such", "-f", "json").out == "[]\n"
    assert nas("best", "--block", "none_such", "-f", "csv").out == ",".join(BEST_FIELDS) + "\n"


def test_status_json_has_the_fields_of_the_contract(world, nas_json):
    status = nas_json("status", "alpha")
    assert list(status) == [
        *("study", "dataset", "state", "budget", "trials", "trained_over_budget", "trained_twice"),
        *("projected", "reused", "best", "seconds", "priority"),
    ]
    assert status["budget"] == {"params": 20_000}
    assert {"total": 6, "complete": 4, "pruned": 1, "failed": 1, "running": 0}.items() <= status["trials"].items()
    assert list(status["best"]) == BEST_FIELDS


def test_status_without_a_result_says_so(world, nas, nas_json):
    storage = open_storage("sqlite:///nas.db")
    create_study(storage, study_record("empty"))
    storage.close()
    assert nas_json("status", "empty")["best"] is None
    assert "none yet" in nas("status", "empty").out
    assert nas("status", "empty", "-f", "csv").rows[0]["best"] == ""


def test_status_for_eyes_and_csv(world, nas):
    out = nas("status", "alpha").out
    assert "params 20,000" in out
    assert "5 of 6: 4 complete, 1 pruned, 1 failed" in out
    row = nas("status", "alpha", "-f", "csv").rows[0]
    assert (row["budget.params"], row["trials.pruned"], row["best.trial"]) == ("20000", "1", "2")


def test_studies_lists_both(world, nas_json, nas):
    rows = nas_json("studies")
    assert [(row["study"], row["done"], row["total"], row["failed"]) for row in rows] == [
        ("alpha", 5, 6, 1),
        ("beta", 1, 6, 0),
    ]
    assert "97.57 %" in nas("studies").out


def test_trials_lists_all_with_their_reasons(world, nas_json, nas):
    rows = nas_json("trials", "alpha")
    assert [row["state"] for row in rows] == ["complete"] * 4 + ["pruned", "failed"]
    assert rows[5]["reason"] == "loss is NaN in epoch 1"
    assert "progress" not in rows[0]
    line = nas("trials", "alpha").out.splitlines()[-1]
    assert "loss is NaN in epoch 1" in line
    assert "0/2" in line
    assert nas("trials", "alpha", "-f", "csv").rows[0]["architecture"] == rows[0]["architecture"]


@pytest.mark.parametrize("command", ["status", "trials", "best", "explain", "rm"])
def test_unknown_study_is_told_with_the_nearest(world, nas, command):
    told = nas(command, "alhpa")
    assert (told.code, told.out) == (1, "")
    assert told.err == "Error: no study 'alhpa' in sqlite:///nas.db (did you mean 'alpha'?)\n"


def test_rm_removes_with_yes_and_says_what(world, nas, nas_json):
    told = nas("rm", "alpha", "--yes")
    assert (told.code, told.out, told.err) == (0, "", "removed study 'alpha' with 6 trials\n")
    assert [row["study"] for row in nas_json("studies")] == ["beta"]


def test_rm_without_a_terminal_needs_yes(world, nas, nas_json):
    told = nas("rm", "alpha")
    assert told.code == 2
    assert "--yes" in told.err
    assert len(nas_json("studies")) == 2


@pytest.mark.parametrize(("answer", "left"), [("y\n", 1), ("n\n", 2)])
def test_rm_asks_on_a_terminal(world, nas, nas_json, monkeypatch, answer, left):
    class Terminal:
        def isatty(self):
            return True

        def readline(self, *_):
            return answer

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda *_: answer.strip())
    told = nas("rm", "alpha")
    assert told.code == (0 if left == 1 else 130)
    assert len(nas_json("studies")) == left


@pytest.mark.parametrize(
    "words", [["studies"], ["status", "x"], ["trials", "x"], ["best"], ["explain", "x"], ["rm", "x", "-y"]]
)
def test_reading_where_there_is_no_database_creates_none(home, nas, words):
    told = nas(*words)
    assert told.code == 1
    assert told.err == "Error: sqlite:///nas.db: no such database; `nas run` creates it\n"
    assert list(home.iterdir()) == []
