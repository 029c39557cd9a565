"""Study files that list their candidates."""

import json

import pytest

from nas.arch.recipe import recipe_hash
from nas.errors import StudyFileError
from nas.study.candidates import listed, over
from nas.study.file import read_study, study_from_data
from nas.study.rules import changes

HEAD = 'name = "pair"\ndataset = "digits"\nrepeats = 3\n'
ONE = """
[[architecture]]
name = "one"
parts = [{block = "conv", width = 8, kernel = 5}, {layer = "dense", width = "classes"}]
"""
TWO = """
[[architecture]]
name = "two"
parts = [{block = "conv", width = 8, kernel = 3, repeat = 2}, {layer = "dense", width = "classes"}]
"""
COMPARISON = HEAD + ONE + TWO


def problems(read):
    with pytest.raises(StudyFileError) as caught:
        read()
    return caught.value.problems


def test_candidates_are_read_with_their_parts(write):
    study = read_study(write(COMPARISON))
    assert (study.space, study.repeats, study.search.trials) == (None, 3, 2)
    assert [one.name for one in study.candidates] == ["one", "two"]
    assert len(study.candidates[1].parts) == 3  # repeat is spelt out


def test_stored_configuration_reads_as_the_same_study(write):
    study = read_study(write(COMPARISON))
    again = study_from_data(json.loads(json.dumps(study.config)))
    assert again.config == study.config
    assert "space" not in study.config
    assert "search" not in study.config


def test_architecture_file_gives_its_parts(write, tmp_path):
    inline = read_study(write(HEAD + ONE))
    parts = inline.candidates[0].parts
    (tmp_path / "net.json").write_text(json.dumps({"format": 1, "input": [3, 64, 64], "classes": 5, "parts": parts}))
    filed = read_study(write(HEAD + '[[architecture]]\nname = "one"\nfile = "net.json"\n'))
    assert filed.config == inline.config


def test_file_s_classes_become_those_of_the_images(write, tmp_path, blocks):
    parts = [{"layer": "global_average_pool"}, {"layer": "dense", "width": 5}]
    (tmp_path / "net.json").write_text(json.dumps({"format": 1, "input": [3, 64, 64], "classes": 5, "parts": parts}))
    study = read_study(write(HEAD + '[[architecture]]\nname = "one"\nfile = "net.json"\n'))
    (one,), none = listed(study.candidates, blocks, (1, 8, 8), 10)
    assert none == []
    assert (one.architecture.input, one.architecture.classes, one.totals.params) == ((1, 8, 8), 10, 20)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEAD + "architecture = []", "architecture: an empty list; allowed: tables with name and parts"),
        (HEAD, "space: missing; allowed: "),
        (HEAD, "repeats: only a study that lists its candidates"),
        (COMPARISON + "[space]\n", "space: a study that lists its candidates ([[architecture]]) compares them"),
        (COMPARISON + "[search]\ntrials = 3\n", "search: a study that lists its candidates"),
        (HEAD + ONE + ONE, "architecture: 2 candidates are called 'one'; names tell them apart"),
        (HEAD + '[[architecture]]\nname = "x"\n', "architecture.0: nothing given; allowed: one of parts, file"),
        (HEAD + ONE + 'file = "a"\n', "architecture.0: parts and file given; allowed: one of parts, file, reference"),
        (HEAD + ONE.replace("name", "nmae"), "architecture.0.nmae: unknown key (did you mean 'name'?)"),
        (HEAD + ONE.replace('name = "one"', ""), "architecture.0.name: missing; allowed: a text"),
        (HEAD + ONE.replace('"dense"', '"desne"'), "architecture.0: parts[1].layer: "),
        (HEAD + '[[architecture]]\nname = "x"\nfile = "no.json"\n', "architecture.0: "),
        (HEAD + '[[architecture]]\nname = "x"\nreference = "vgg61"\n', "architecture.0: "),
        (HEAD + "architecture = 5\n", "architecture: 5 is not a table; allowed: tables with name and parts"),
        (COMPARISON.replace("repeats = 3", "repeats = 0"), "repeats: 0 is less than 1; allowed: whole numbers"),
    ],
)
def test_mistakes_are_named_with_their_place(write, text, line):
    found = problems(lambda: read_study(write(text)))
    assert any(one.startswith(line) for one in found), found


def test_two_spellings_of_one_network_are_one_candidate_too_many(write, blocks):
    again = ONE.replace('"one"', '"again"').replace("kernel = 5", 'kernel = 5, norm = "batch"')
    study = read_study(write(HEAD + ONE + again))
    made, lines = listed(study.candidates, blocks, (1, 8, 8), 10)
    assert len(made) == 1
    assert lines == ["architecture.1: 'again' is the same network as 'one'; leave one of them out"]


def test_network_that_cannot_be_on_the_images_is_named(write, blocks):
    deep = ONE.replace("[{block", '[{layer = "max_pool", size = 16}, {block').replace("kernel = 5", "kernel = 4")
    _, lines = listed(read_study(write(HEAD + deep)).candidates, blocks, (1, 8, 8), 10)
    assert lines == ["architecture.0: parts[0]: max_pool shrinks a map of [1, 8, 8] below one pixel: [1, 0, 0]"]


def test_budget_names_who_is_over_and_by_what(write, blocks):
    limits = 'budget.params = "6k"\nbudget.receptive_field.min = 6\nrepeats'
    study = read_study(write(COMPARISON.replace("repeats", limits)))
    made, _ = listed(study.candidates, blocks, (1, 8, 8), 10)
    assert over(made, study.budget) == [
        "one: receptive_field is 5 pixels; the budget asks for 6 or more",
        "two: receptive_field is 5 pixels; the budget asks for 6 or more",
    ]
    tight = read_study(write(COMPARISON.replace("repeats", "budget.params = 5500\nrepeats")))
    assert over(made, tight.budget) == ["two: params 5,810 is over the budget of 5,500"]


def test_candidates_may_come_and_none_may_go_or_change(write):
    def config(text):
        return read_study(write(text)).config

    assert changes(config(HEAD + ONE), config(COMPARISON)) == []
    (gone,) = changes(config(COMPARISON), config(HEAD + ONE))
    assert gone == "architecture: candidate 'two' is gone; candidates may be added: choose another name"
    (other,) = changes(config(COMPARISON), config(COMPARISON.replace("kernel = 5", "kernel = 7")))
    assert other == "architecture: candidate 'one' is another network now: choose another name for the study"
    (repeats,) = changes(config(COMPARISON), config(COMPARISON.replace("repeats = 3", "repeats = 4")))
    assert repeats.startswith("repeats: was 3, is now 4; ")


def test_comparison_may_be_scored_on_test_images_and_a_search_may_not(write):
    study = read_study(write('score = "test"\n' + COMPARISON))
    assert (study.scored_on, study.config["score"]) == ("test", "test")
    assert read_study(write(COMPARISON)).scored_on == "validation"
    search = {"name": "s", "dataset": "digits", "score": "test", "space": {}, "search": {"trials": 1}}
    assert "score: a search is scored on validation images" in "\n".join(problems(lambda: study_from_data(search)))
    [wrong] = problems(lambda: read_study(write('score = "tests"\n' + COMPARISON)))
    assert wrong == "score: 'tests' is not known (did you mean 'test'?); allowed: validation, test"


def test_images_that_a_comparison_is_scored_on_are_part_of_its_question(write):
    plain, on_test = read_study(write(COMPARISON)), read_study(write('score = "test"\n' + COMPARISON))
    [line] = changes(plain.config, on_test.config)
    assert line.startswith("score: was 'validation', is now 'test'")
    assert (
        recipe_hash(plain.recipe, 3)
        == recipe_hash(plain.recipe, 3, "validation")
        != recipe_hash(plain.recipe, 3, "test")
    )
    older = {name: value for name, value in plain.config.items() if name != "score"}
    assert changes(older, plain.config) == []
