"""Study files: what is read, and the line that each mistake gets."""

import json
from pathlib import Path

import pytest
from example_counts import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.arch.recipe import Recipe
from nas.errors import StudyFileError
from nas.study.file import read_study, study_from_data
from nas.study.tables import TABLES, TrainTable, keys

ROOT = Path(__file__).parents[2]
SEARCH_KEYS = "trials, sampler, pruner, fill, memory, keep"
TOP_KEYS = "name, dataset, seed, budget, space, search, architecture, repeats, score, train"


def problems(path, **given):
    with pytest.raises(StudyFileError) as caught:
        read_study(path, **given)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)
    return caught.value.problems


# What stands in the file is replaced (or, without "old", put at its end); the line is what the user reads.
MISTAKES = [
    ('name = "small"', "", "name: missing; allowed: a text of letters, digits and . _ -"),
    ('"small"', '"block"', "name: 'block' is reserved for `nas cost block`; allowed: any other name"),
    ('"small"', f'"{"a0" * 16}"', f"name: '{'a0' * 16}' looks like a fingerprint; allowed: any other name"),
    ('"small"', '"a#1"', "name: 'a#1' is not a name; allowed: 1 to 100 letters, digits and . _ -, not starting"),
    ('"small"', '""', "name: '' is not a name"),
    ('"small"', '"-x"', "name: '-x' is not a name"),
    ('"small"', f'"{"n" * 101}"', "name: 'nnnnnnn"),
    ('"small"', "5", "name: 5 is not a text"),
    ('dataset = "digits"', "", "dataset: missing; allowed: the name of a data set"),
    ('"digits"', "2020-01-02", "dataset: 2020-01-02 is not a text"),
    ('"digits"', '" "', "dataset: ' ' is not a text of one line"),
    ('"digits"', '"a\\nb"', "dataset: 'a\\nb' is not a text of one line"),
    ('"digits"', '"my.npz"', "dataset: 'my.npz' does not exist in "),
    ('"digits"', '"a/b"', "dataset: 'a/b' does not exist in "),
    ('"digits"', '"digits"\nseed = -1', "seed: -1 is less than 0; allowed: whole numbers from 0 to 2,147,483,647"),
    ('"digits"', '"digits"\nseed = 2147483648', "seed: 2147483648 is more than 2,147,483,647; allowed: whole"),
    ('"digits"', '"digits"\nseed = true', "seed: true is not a whole number; allowed: whole numbers from 0"),
    ('"digits"', '"digits"\nseed = 1.0', "seed: 1.0 is not a whole number"),
    ('"digits"', '"digits"\nsede = 1', f"sede: unknown key (did you mean 'seed'?); allowed: {TOP_KEYS}"),
    ('"digits"', '"digits"\ntrials = 1', f"trials: unknown key (did you mean 'search.trials'?); allowed: {TOP_KEYS}"),
    ('"digits"', '"digits"\nbudget = "20k"', "budget: '20k' is not a table; allowed: a table with params, weights"),
    ("", "[serach]\ntrials = 1", f"serach: unknown key (did you mean 'search'?); allowed: {TOP_KEYS}"),
    ("", '["a\\nb"]', f"'a\\nb': unknown key; allowed: {TOP_KEYS}"),
    ("", '[budget]\nparams = "20x"', "budget.params: '20x' is not a count; allowed: whole numbers from 1, as 20_000"),
    ("", "[budget]\nmacs = 0", "budget.macs: 0 is not a count"),
    ("", "[budget]\nweights = nan", "budget.weights: nan is not a count"),
    ("", "[budget]\nactivations = true", "budget.activations: true is not a count"),
    ("", "[budget]\nreceptive_field = 9", "budget.receptive_field: 9 is not a table; allowed: {min = 9}"),
    ("", "[budget]\nreceptive_field = {}", "budget.receptive_field.min: missing; allowed: whole numbers from 1"),
    ("", "[budget]\nreceptive_field = {min = 0}", "budget.receptive_field.min: 0 is less than 1"),
    ("", "[budget]\nreceptive_field = {max = 9, min = 1}", "budget.receptive_field.max: unknown key"),
    ("", "[budget]\nparam = 5", "budget.param: unknown key (did you mean 'params'?); allowed: params, weights, macs"),
    ('blocks = ["stacked", "grouped"]', "", "space.blocks: missing; allowed: a list of names of blocks"),
    ('["stacked", "grouped"]', "[]", "space.blocks: an empty list; allowed: a list of 1 to 10,000 names of blocks"),
    ('["stacked", "grouped"]', '"stacked"', "space.blocks: 'stacked' is not a list; allowed: a list of names"),
    ('["stacked", "grouped"]', '["a", "a"]', "space.blocks: 'a' stands twice; allowed: each value once"),
    ('["stacked", "grouped"]', "[3]", "space.blocks: 3 is not a text"),
    ("kernels = [3, 5]", "kernels = [3, 4]", "space.kernels: 4 is even; allowed: odd numbers from 1 to 31"),
    ("kernels = [3, 5]", "kernels = [33]", "space.kernels: 33 is more than 31; allowed: odd numbers from 1 to 31"),
    ("kernels = [3, 5]", "kernels = [-1]", "space.kernels: -1 is less than 1; allowed: odd numbers from 1 to 31"),
    ("kernels = [3, 5]", "kernels = [3, 3]", "space.kernels: 3 stands twice; allowed: each value once"),
    ("kernels = [3, 5]", "kernels = []", "space.kernels: an empty list; allowed: a list of 1 to 10,000 odd numbers"),
    ("kernels = [3, 5]", "kernels = [true]", "space.kernels: true is not a whole number; allowed: odd numbers"),
    ("kernels = [3, 5]", 'kernels = ["3"]', "space.kernels: '3' is not a whole number"),
    ("kernels = [3, 5]", "kernels = [[3]]", "space.kernels: [3] is not a whole number"),
    ("kernels = [3, 5]", "kernels = {low = 3}", "space.kernels: a table is not a list; allowed: a list of odd"),
    ("kernels = [3, 5]", "kernels = [nan]", "space.kernels: nan is not a whole number"),
    ("kernels = [3, 5]", f"kernels = [0x{'f' * 5000}]", "space.kernels: a number of 20000 bits is more than 31"),
    ("kernels = [3, 5]", "kernals = [3]", "space.kernels: missing; allowed: a list of odd numbers from 1 to 31"),
    ("kernels = [3, 5]", "kernals = [3]", "space.kernals: unknown key (did you mean 'kernels'?); allowed: blocks,"),
    ("widths = [8, 16]", "widths = 8", "space.widths: 8 is neither a list nor a range; allowed: a list of whole"),
    ("widths = [8, 16]", "widths = [0]", "space.widths: 0 is less than 1; allowed: whole numbers from 1 to 65,536"),
    ("widths = [8, 16]", "widths = [8, 8]", "space.widths: 8 stands twice"),
    ("widths = [8, 16]", "widths = {low = 8}", "space.widths.high: missing; allowed: whole numbers from 1 to 65,536"),
    ("widths = [8, 16]", "widths = {low = 8, high = 7}", "space.widths: high 7 is less than low 8; allowed: high"),
    ("widths = [8, 16]", "widths = {low = 8, high = 20, step = 8}", "space.widths: steps of 8 from 8 do not reach 20"),
    (
        "widths = [8, 16]",
        "widths = {low = 8, high = 20, step = 8}",
        "space.widths: steps of 8 from 8 do not reach 20; the last one is 16",
    ),
    ("widths = [8, 16]", "widths = {low = 8, high = 70_000}", "space.widths.high: 70000 is more than 65,536"),
    ("widths = [8, 16]", "widths = {low = 1, high = 20_000}", "space.widths: 20,000 widths; allowed: up to 10,000"),
    ("widths = [8, 16]", "widths = {low = 8, high = 16, step = 0}", "space.widths.step: 0 is less than 1"),
    (
        "widths = [8, 16]",
        "widths = {low = 8, high = 16, setp = 8}",
        "space.widths.setp: unknown key (did you mean 'step'",
    ),
    ("stages = [2]", "stages = [0]", "space.stages: 0 is less than 1; allowed: whole numbers from 1 to 16"),
    ("stages = [2]", "stages = [17]", "space.stages: 17 is more than 16"),
    ("depths = [1]", "depths = [1_000_000]", "space.depths: 1000000 is more than 64; allowed: whole numbers from 1"),
    ("depths = [1]", "depths = 1", "space.depths: 1 is not a list; allowed: a list of whole numbers from 1 to 64"),
    ("depths = [1]", "depths = [1]\nstem = 3", "space.stem: 3 is not a table; allowed: a table with kernels, widths"),
    ("depths = [1]", "depths = [1]\nstem = {kernel = [3]}", "space.stem.kernel: unknown key (did you mean 'kernels'?)"),
    ("depths = [1]", "depths = [1]\nstem = {kernels = [2]}", "space.stem.kernels: 2 is even; allowed: odd numbers"),
    ("depths = [1]", "depths = [1]\nstem = {widths = {low = 0, high = 4}}", "space.stem.widths.low: 0 is less than 1"),
    ("depths = [1]", "depths = [1]\nmix = 1", "space.mix: 1 is not true or false; allowed: true, false"),
    ("depths = [1]", "depths = [1]\nnorm = inf", "space.norm: inf is not an option's value; allowed: a number, a text"),
    ("depths = [1]", "depths = [1]\nnorm = {}", "space.norm: unknown key; allowed: blocks, kernels, widths, stages"),
    ("trials = 4", "", "search.trials: missing; allowed: whole numbers from 1 to 10,000,000"),
    ("trials = 4", "trials = 0", "search.trials: 0 is less than 1; allowed: whole numbers from 1 to 10,000,000"),
    ("trials = 4", "trials = 10_000_001", "search.trials: 10000001 is more than 10,000,000"),
    ("trials = 4", 'trials = "many"', "search.trials: 'many' is not a whole number"),
    (
        "trials = 4",
        'trials = 4\nsmapler = "tpe"',
        f"search.smapler: unknown key (did you mean 'sampler'?); allowed: {SEARCH_KEYS}",
    ),
    (
        "trials = 4",
        'trials = 4\nsampler = "tp"',
        "search.sampler: 'tp' is not known (did you mean 'tpe'?); allowed: auto,",
    ),
    ("trials = 4", "trials = 4\npruner = false", "search.pruner: false is not a text; allowed: auto, none, median"),
    ("trials = 4", "trials = 4\nfill = 1", "search.fill: 1 is not true or false"),
    ("trials = 4", "trials = 4\nkeep = -1", "search.keep: -1 is less than 0"),
    (
        "trials = 4",
        "trials = 4\nepochs = 3",
        "search.epochs: unknown key (did you mean 'train.epochs'?); allowed: trials",
    ),
    ("[search]\ntrials = 4", "", "search: missing; allowed: a table with trials, sampler, pruner, fill, memory, keep"),
    (
        "[search]\ntrials = 4",
        "[[search]]\ntrials = 4",
        "search: [a table] is not a table; allowed: a table with trials",
    ),
    ("", "[train]\nepochs = 0", "train.epochs: 0 is less than 1; allowed: whole numbers from 1 to 100,000"),
    ("", "[train]\nepochs = true", "train.epochs: true is not a whole number"),
    ("", "[train]\nbatch_size = 2_000_000", "train.batch_size: 2000000 is more than 1,048,576"),
    ("", "[train]\nlearning_rate = 0", "train.learning_rate: 0 is out of range; allowed: numbers above 0"),
    ("", "[train]\nlearning_rate = nan", "train.learning_rate: nan is out of range; allowed: numbers above 0"),
    ("", "[train]\nlearning_rate = inf", "train.learning_rate: inf is out of range"),
    ("", "[train]\nlearning_rate = true", "train.learning_rate: true is not a number; allowed: numbers above 0"),
    ("", f"[train]\nlearning_rate = 0x{'f' * 5000}", "train.learning_rate: a number of 20000 bits is too large"),
    ("", "[train]\nmomentum = 1", "train.momentum: 1 is out of range; allowed: numbers from 0, below 1"),
    ("", "[train]\nweight_decay = -1e-3", "train.weight_decay: -0.001 is out of range; allowed: numbers from 0"),
    (
        "",
        "[train]\nlabel_smoothing = 1.0",
        "train.label_smoothing: 1.0 is out of range; allowed: numbers from 0, below",
    ),
    (
        "",
        '[train]\nprecision = "fp23"',
        "train.precision: 'fp23' is not known (did you mean 'fp32'?); allowed: auto, fp32",
    ),
]


@pytest.mark.parametrize(("old", "new", "line"), MISTAKES, ids=[f"{n}-{m[2][:40]}" for n, m in enumerate(MISTAKES)])
def test_mistake_is_one_clear_line(small, write, old, new, line):
    assert old in small
    path = write(small.replace(old, new, 1) if old else f"{small}\n{new}\n")
    found = problems(path)
    assert [problem for problem in found if problem.startswith(line)], found
    assert all("pydantic" not in problem and len(problem) < 400 for problem in found)
    assert len(found) == (2 if "kernals" in new else 1)


def test_mistakes_are_told_together(small, write):
    text = small.replace("[3, 5]", "[4, 6, 3, 3]").replace("trials = 4", "smapler = 1").replace('"digits"', '"no.npz"')
    assert [problem.split(";")[0].split(" does")[0] for problem in problems(write(text))] == [
        "space.kernels: 4 is even",
        "space.kernels: 6 is even",
        "space.kernels: 3 stands twice",
        "search.trials: missing",
        "search.smapler: unknown key (did you mean 'sampler'?)",
        "dataset: 'no.npz'",
    ]


def test_endless_mistakes_are_cut_short(small, write):
    found = problems(write(small + "[budget]\n" + "".join(f"key{n} = 1\n" for n in range(200))))
    assert len(found) == 51
    assert found[-1] == "and 150 more"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"name = ", "not TOML: Invalid value (at end of document)"),
        (b'name = "a"\nname = "b"', "not TOML: Cannot overwrite a value (at end of document)"),
        (b'seed = 1\nname = "a\n', "not TOML: Illegal character '\\n' (at line 2, column 10)"),
        (b'name = "\xff"', "not UTF-8: byte 0xff at offset 8"),
        (b"seed = " + b"9" * 5000, "not TOML: Exceeds the limit (4300 digits) for integer string conversion"),
        (b"x = " + b"[" * 100_000, "not TOML: nested too deeply"),
        (b"#" * 1_000_001, "larger than 1,000,000 bytes: not a study file"),
        (b"", "name: missing"),
    ],
)
def test_unreadable_content_is_one_line(tmp_path, content, line):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    assert problems(path)[0].startswith(line)


def test_absent_file_gets_the_nearest(small, write, tmp_path):
    write(small, "quickstart.toml")
    assert problems(tmp_path / "quikstart.toml") == ["no such file (did you mean 'quickstart.toml'?)"]
    assert problems(tmp_path / "no" / "x.toml") == ["no such file"]


def test_folder_and_device_are_no_study_files(tmp_path):
    assert problems(tmp_path) == ["a folder, not a study file"]
    assert problems(Path("/dev/null")) == ["not a file"]


def test_file_behind_a_file_cannot_be_read(small, write):
    assert problems(write(small) / "x.toml") == ["cannot be read: Not a directory"]


def test_defaults_are_filled_in(small, write):
    study = read_study(write(small))
    assert (study.seed, study.search.sampler, study.search.pruner, study.search.fill) == (0, "auto", "auto", True)
    assert (study.search.keep, study.space.mix, study.options) == (10, False, {})
    assert (study.space.stem.kernels, study.space.stem.widths) == ((3,), (16,))
    assert study.recipe == Recipe()
    assert study.budget.to_json() == {}


def test_every_field_of_a_recipe_is_a_key():
    assert list(TrainTable.model_fields) == list(Recipe().to_json())


def test_quickstart_is_read_and_its_config_gives_it_back():
    study = read_study(ROOT / "studies" / "quickstart.toml")
    assert study.budget.to_json() == {"params": 20_000}
    assert study.space.widths == tuple(range(8, 65, 8))
    assert study.config["space"]["widths"] == {"low": 8, "high": 64, "step": 8}
    again = study_from_data(json.loads(json.dumps(study.config)))
    assert again.config == study.config
    assert (again.space, again.search, again.recipe, again.budget) == (
        study.space,
        study.search,
        study.recipe,
        study.budget,
    )


def test_two_spellings_have_one_config(small, write):
    first = small.replace("[8, 16]", "[24, 8, 16]") + '[budget]\nparams = "2k"\n[train]\nweight_decay = 0\n'
    second = small.replace("[8, 16]", "{low = 8, high = 24, step = 8}").replace("[3, 5]", "[5, 3]")
    second += "[budget]\nparams = 2_000\n[train]\nweight_decay = -0.0\n"
    configs = [read_study(write(text)).config for text in (first, second)]
    assert json.dumps(configs[0]) == json.dumps(configs[1])


def test_relative_data_set_starts_at_the_file(small, write, tmp_path):
    (tmp_path / "my.npz").touch()
    study = read_study(write(small.replace('"digits"', '"my.npz"')))
    assert (study.dataset, study.folder) == ("my.npz", tmp_path)
    missing = problems(write(small.replace('"digits"', '"mi.npz"')))
    assert "(did you mean 'my.npz'?)" in missing[0]


def test_byte_order_mark_and_crlf_are_read(small, tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbf" + small.replace("\n", "\r\n").encode())
    assert read_study(path).name == "small"


def test_overrides_are_toml_or_bare_words(small, write):
    given = ["search.trials=5", "search.sampler = tpe", "space.kernels=[7]", "budget.params=20k", "name=a.b-c"]
    study = read_study(write(small), overrides=given)
    assert (study.search.trials, study.search.sampler, study.space.kernels) == (5, "tpe", (7,))
    assert (study.budget.params, study.name) == (20_000, "a.b-c")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("trials", "--set 'trials': not of the form key=value; allowed: as search.trials=5"),
        ("=5", "--set '=5': not of the form key=value"),
        ("a..b=5", "--set 'a..b=5': not of the form key=value"),
        ("seed=", "--set 'seed=': no value; allowed"),
        ("space.kernels=[3", "--set 'space.kernels=[3': the value is not TOML; allowed"),
        ("seed=1\nname=2", "--set 'seed=1\\nname=2': the value is not TOML"),
        ("name.first=5", "--set 'name.first=5': name is 'small', not a table"),
        ("search.smapler=tpe", "search.smapler: unknown key (did you mean 'sampler'?)"),
        ("search.trials=true", "search.trials: true is not a whole number"),
    ],
)
def test_wrong_override_is_one_line(small, write, text, line):
    found = problems(write(small), overrides=[text])
    assert len(found) == 1
    assert found[0].startswith(line)


def test_data_that_is_no_table_is_refused():
    with pytest.raises(StudyFileError, match=r"study: \[1\], not a study; allowed: a table with name, dataset"):
        study_from_data([1])


def test_key_that_is_no_text_is_refused():
    with pytest.raises(StudyFileError, match=r"study: 5: unknown key"):
        study_from_data({5: 1})


SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates(), st.times()),
    *(st.just(1 << 200), st.sampled_from(["digits", "20k", "auto", 1, 3, 8])),
)
ALL_KEYS = sorted({key for table in TABLES for key in keys(table)} | {"norm"})
KEYS = st.sampled_from(ALL_KEYS) | st.text(max_size=4)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=15
)


def outcome(data):
    """The study's config, or None where its mistakes are told, each in one line."""
    try:
        return study_from_data(data).config
    except StudyFileError as error:
        if not error.problems or len(str(error).splitlines()) != len(error.problems):
            raise AssertionError(f"not one line a mistake: {error.problems}") from error
        return None


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, TREES, max_size=7))
def test_any_data_is_a_study_or_a_study_file_error(data):
    config = outcome(data)
    assert config is None or outcome(config) == config


@pytest.mark.parametrize("table", ["space", "search"])
def test_table_of_nothing_is_missing(table):
    space = {"blocks": ["conv"], "kernels": [3], "widths": [8], "stages": [1], "depths": [1]}
    data = {"name": "a", "dataset": "digits", "space": space, "search": {"trials": 1}, table: None}
    with pytest.raises(StudyFileError, match=f"{table}: missing; allowed: a table with"):
        study_from_data(data)


@settings(max_examples=examples(150), deadline=None)
@given(st.sampled_from(["", "budget", "space", "search", "train"]), KEYS, TREES)
def test_one_value_of_any_kind_in_a_good_study_is_told_or_taken(table, key, value):
    space = {"blocks": ["conv"], "kernels": [3], "widths": [8], "stages": [1], "depths": [1]}
    data = {"name": "a", "dataset": "digits", "space": space, "search": {"trials": 1}}
    (data.setdefault(table, {}) if table else data)[key] = value
    config = outcome(data)
    assert config is None or outcome(json.loads(json.dumps(config))) == config


def test_study_is_frozen(small, write):
    study = read_study(write(small))
    for part, name in ((study, "seed"), (study.search, "trials"), (study.space, "mix"), (study.recipe, "epochs")):
        with pytest.raises(Exception, match=r"frozen|cannot assign"):
            setattr(part, name, 1)
