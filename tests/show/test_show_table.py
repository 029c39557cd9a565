"""Tables, numbers and machine-readable text."""

import json

import pytest

from nas.show.formats import as_csv, as_json, flat
from nas.show.table import Column, count, fingerprint, pairs, percent, plain, seconds, shape, table, told

COLUMNS = (Column("name", "name"), Column("params", "params", count, right=True), Column("note", "note"))
ROWS = [
    {"name": "a", "params": 16_234, "note": "short"},
    {"name": "longer", "params": 7, "note": "conv3 16 | stacked3 32 | stacked3 64 | dense"},
]


def test_table_aligns_texts_left_and_numbers_right():
    assert table(ROWS, COLUMNS).splitlines() == [
        "name    params  note",
        "a       16,234  short",
        "longer       7  conv3 16 | stacked3 32 | stacked3 64 | dense",
    ]


def test_table_of_a_width_cuts_the_widest_text_alone():
    lines = table(ROWS, COLUMNS, width=40).splitlines()
    assert max(map(len, lines)) == 40
    assert lines[2].endswith("…")
    assert "16,234  short" in lines[1]


def test_table_is_not_cut_to_nothing():
    lines = table(ROWS, COLUMNS, width=5).splitlines()
    assert lines[2] == "longer       7  conv3 16 | …"


def test_table_without_rows_is_its_titles():
    assert table([], COLUMNS) == "name  params  note"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (count(16_234), "16,234"),
        (count(None), ""),
        (percent(0.9757), "97.57 %"),
        (percent(None), ""),
        (fingerprint("0123456789abcdef"), "0123456789"),
        (seconds(63.24), "63.2 s"),
        (seconds(600), "10 min"),
        (seconds(7_500), "2 h 05 min"),
        (seconds(None), ""),
        (shape((16, 28, 28)), "16×28×28"),
        (shape(None), ""),
        (plain(["a", 1]), "a 1"),
        (plain(True), "yes"),
        (plain(None), ""),
    ],
)
def test_values_for_eyes(written, text):
    assert written == text


def test_pairs_stand_under_one_another():
    assert pairs([("a", "1"), ("long", "")]) == "a     1\nlong"


def test_csv_joins_lists_and_leaves_none_empty():
    rows = [{"a": [1, 2], "b": None, "c": True, "d": 'x,"y"'}, {"a": [], "d": {"kernel": [3, 5], "norm": "batch"}}]
    assert as_csv(rows, ["a", "b", "c", "d"]).splitlines() == [
        "a,b,c,d",
        '1 2,,true,"x,""y"""',
        ',,,"kernel=3,5 norm=batch"',
    ]


def test_flat_gives_inner_tables_dotted_names():
    assert flat({"a": 1, "b": {"c": 2, "d": {"e": 3}}}) == {"a": 1, "b.c": 2, "b.d.e": 3}


def test_json_refuses_what_json_has_not():
    assert json.loads(as_json({"a": [1, None]})) == {"a": [1, None]}
    with pytest.raises(ValueError, match="Out of range"):
        as_json({"a": float("nan")})


def test_text_that_would_steer_a_terminal_is_spelt_out():
    text = table([{"a": "x\x1b[2J\x9b31m\nHéllo ×"}], [Column("a", "A")])
    assert text == "A\nx\\x1b[2J\\x9b31m\\nHéllo ×"
    assert pairs([("name", "\x07bell")]) == "name  \\x07bell"


def test_line_that_is_too_long_keeps_its_beginning_and_its_end():
    assert told("a" * 2000) == "a" * 2000
    line = told(f"x.toml: {'a' * 10_000}\n{'b' * 10_000} is not allowed")
    assert (len(line), line.isprintable()) == (2000, True)
    assert line.startswith("x.toml: aaaa")
    assert line.endswith("bbbb is not allowed")
    assert "aaa … bbb" in line
