"""Study files made to take forever, to read what has no end, or to ask for what no machine has."""

import os

import pytest

from nas.errors import StudyFileError
from nas.study.candidates import listed
from nas.study.file import read_study, study_from_data
from nas.study.rules import open_study

COMPARISON = 'name = "x"\ndataset = "digits"\n[[architecture]]\nname = "a"\n'


def problems(path):
    with pytest.raises(StudyFileError) as caught:
        read_study(path)
    return caught.value.problems


@pytest.mark.parametrize("text", ["a." * 50_000 + "a = 1", "[" + "a." * 50_000 + "a]"])
def test_key_of_very_many_parts_is_refused_unread(write, text):
    (line,) = problems(write("\n" + text))
    assert line == "line 2 has more than 100 dots; break it into several"


def test_very_many_mistakes_are_counted_not_spelt_out(write):
    lines = problems(write("".join(f"key{n} = 1\n" for n in range(20_000))))
    assert len(lines) == 51
    assert lines[-1] == f"and {20_000 + 4 - 50:,} more"


@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "."])
def test_candidate_s_file_that_is_none_is_not_read(write, tmp_path, place):
    if place == "pipe":
        os.mkfifo(tmp_path / place)
    (line,) = problems(write(f'{COMPARISON}file = "{place}"\n'))
    assert line.endswith(": not a file")


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ('{layer = "conv", width = 1_000_000, kernel = 1_000_001}', "params 1,000,0"),
        ('{block = "stacked", width = 8, kernel = 3, layers = 1_000_000_000}', "the block does not allow it"),
    ],
)
def test_absurd_candidate_is_a_mistake_of_the_file(write, blocks, part, told):
    study = read_study(write(f'{COMPARISON}parts = [{part}, {{layer = "dense", width = "classes"}}]\n'))
    _, lines = listed(study.candidates, blocks, (1, 8, 8), 10)
    assert any(line.startswith("architecture.0: ") and told in line for line in lines), lines


@pytest.mark.parametrize("name", ["x'; DROP TABLE nas_study; --", "x#1", "../../x", "x\x1b[2J", "-rf"])
def test_name_that_is_more_than_a_name_is_refused(small, write, name):
    with pytest.raises(StudyFileError, match="is not a name"):
        study_from_data({"name": name, "dataset": "digits", "space": {}, "search": {"trials": 1}})


def test_block_whose_name_is_sql_or_a_path_is_not_known(small, write, blocks):
    for name in ("conv'); DROP TABLE nas_trial; --", "../evil.py", "os.system"):
        path = write(small.replace('"stacked"', f'"{name}"'))
        with pytest.raises(StudyFileError, match="is not registered"):
            open_study(path, blocks)
