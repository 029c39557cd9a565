"""`nas explain` as it is read: a table for eyes, JSON, CSV, and mistakes in one line."""

import csv
import io
import json

import pytest
from databases import slow_on_postgresql
from explain_worlds import by_kernel, searched

from nas.cli.main import main
from nas.store.schema import create_storage

FIELDS = [
    *("study", "dataset", "complete", "best", "rank_correlation", "p_value", "choices", "choices_problem", "costs"),
    *("states", "blocks", "parts", "parts_problem", "expected_accuracy", "widths", "edits", "edits_tried"),
    *("edits_rank_correlation", "edits_p_value", "edits_problem", "changes"),
    *("memory", "baseline", "baseline_problem", "pace"),
]


@pytest.fixture(scope="module")
def toy(new_url):
    """`toy`, where small kernels are better, its random search, and `few` with two complete trials."""
    url = new_url()
    storage = create_storage(url)
    searched(storage, by_kernel, trials=40)
    searched(storage, by_kernel, name="toy-random", trials=40, sampler="random", draws=2)
    searched(storage, by_kernel, name="few", trials=4, ends=("complete", "pruned"), draws=3)
    storage.close()
    return url


@pytest.fixture
def told(toy, capsys):
    """Calls `nas explain` with words; its exit code, standard output and standard error."""

    def call(*words):
        code = main(["explain", *words, "--storage", toy])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@slow_on_postgresql
def test_json_has_the_fields_that_the_page_names(told):
    code, out, err = told("toy", "-f", "json", "--top", "2")
    found = json.loads(out)
    assert (code, err, list(found)) == (0, "", FIELDS)
    assert found["choices"][0]["choice"] == "kernel"
    assert len(found["changes"]) == 2
    assert found["changes"][0]["differing"][0].keys() == {"place", "choice", "before", "after"}
    assert found["best"]["rank"] == 1
    assert len(found["pace"]) == 5


@slow_on_postgresql
def test_csv_has_a_line_a_figure(told):
    _, out, _ = told("toy", "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert rows[0] == {"section": "", "row": "", "field": "study", "value": "toy"}
    kernel = {row["field"]: row["value"] for row in rows if (row["section"], row["row"]) == ("choices", "kernel")}
    assert float(kernel["importance"]) > 0.5
    assert {row["section"] for row in rows} >= {
        "best",
        "choices",
        "costs",
        "states",
        "blocks",
        "parts",
        "changes",
        "pace",
    }


@slow_on_postgresql
def test_table_is_read_from_the_top_and_fits_a_terminal(told, monkeypatch):
    monkeypatch.setattr("nas.cli.explain.terminal_width", lambda: 100)
    code, out, _ = told("toy", "--top", "4")
    lines = out.splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("toy on digits: 40 complete trials; best 9")
    titles = [line for line in lines if line and not line.startswith(" ")][1:]
    assert titles == [
        "What mattered",
        "Where the budget went",
        "Where the costs of the best network lie",
        "One edit from the best network",
        "What other studies told",
        "Beside a random search",
    ]
    head = next(number for number, line in enumerate(lines) if line.split()[:2] == ["choice", "share"])
    assert lines[head + 1].split()[0] == "kernel"
    assert "████" in lines[head + 1]
    edits = lines[lines.index("One edit from the best network") : lines.index("Beside a random search")]
    assert sum("→" in line for line in edits) == 4


@slow_on_postgresql
def test_table_of_few_trials_says_so_and_has_the_rest(told):
    code, out, _ = told("few")
    assert code == 0
    assert "too few complete trials to tell: 2; needed: 10" in out
    assert "too few complete trials to predict from: 2; needed: 10" in out
    assert "expected" not in out
    assert "no baseline: `nas confirm few --baseline` runs the random search" in " ".join(out.split())


@slow_on_postgresql
def test_mistakes_are_told_in_one_line(told):
    assert told("tow") == (1, "", told("tow")[2])
    assert told("tow")[2].endswith("(did you mean 'toy'?)\n")
    assert told("toy", "--top", "0")[0] == 2
