"""The pages of reference against the live program: layers, architecture files, hooks, columns, queries."""

import inspect
import json
import re
from dataclasses import fields

import pytest
from doc_pages import ARCHITECTURE, DATABASE, HOOKS, README, fences, prose, rows

from nas.arch.layers import LAYERS
from nas.arch.read import architecture_from_json
from nas.arch.record import Ranked
from nas.arch.spec import Architecture
from nas.blocks import hookspecs
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost, normalise
from nas.store.tables import VERSION_TABLE, metadata

BLOCKS = load_blocks(load=())
NETWORKS = [json.loads(content) for content in fences(ARCHITECTURE, "json")]
QUERIES = [query for page in (README, DATABASE) for query in fences(page, "sql")]
GIVEN = {"kernel": 5, "size": 3}
"""Values of the fields from which other fields' defaults are made."""


def written_layers():
    """(kind, field) -> what the page says of its default."""
    return {(row[0].strip("`"), row[1].strip("`")): row[2].strip("`") for row in rows(ARCHITECTURE, 4)}


def live_layers():
    found = {}
    for kind, layer in LAYERS.items():
        for name, rule in layer.rules.items():
            found[kind, name] = "required" if rule.required else rule.value(GIVEN)
        if not layer.rules:
            found[kind, "none"] = ""
    return found


def fingerprint(data) -> str:
    return normalise(architecture_from_json(data), BLOCKS).fingerprint


def test_every_layer_and_field_stands_on_the_page():
    assert len(LAYERS) > 15
    assert set(written_layers()) == set(live_layers())


def test_defaults_of_layers_are_the_program_s():
    said = written_layers()
    for place, value in live_layers().items():
        written = said[place]
        assert (written if value in ("required", "") else eval(written, {"true": True, "false": False}, GIVEN)) == value


@pytest.mark.parametrize("data", NETWORKS, ids=["plain", "residual"])
def test_architectures_on_the_page_are_networks(data):
    assert cost(architecture_from_json(data), BLOCKS).params > 1000


def test_spellings_said_to_be_one_network_are_one():
    plain = NETWORKS[0]
    conv, stacked, join, pool, dense = plain["parts"]
    again = {**stacked, "norm": "batch", "name": "x"}
    del again["repeat"]
    parts = [conv, again, {**again, "stride": 1}, {**join, "name": "y"}, pool, {**dense, "width": 10, "bias": True}]
    assert fingerprint({**plain, "parts": parts, "note": "z"}) == fingerprint(plain)
    first, second = join["branches"]
    turned = {**join, "branches": [second, first]}
    assert fingerprint({**plain, "parts": [conv, stacked, turned, pool, dense]}) != fingerprint(plain)


def test_order_of_a_sum_and_nesting_are_one_network():
    plain = NETWORKS[1]
    total, *rest = plain["parts"]
    turned = {**total, "branches": total["branches"][::-1]}
    alone = {"join": "concat", "branches": [[turned]]}
    assert fingerprint({**plain, "parts": [alone, *rest]}) == fingerprint(plain)


def test_counts_on_the_page_are_those_of_a_network():
    counted = {row[0].strip("`") for row in rows(ARCHITECTURE, 2) if "{" not in row[0]}
    totals = cost(architecture_from_json(NETWORKS[0]), BLOCKS).totals
    assert counted == {field.name for field in fields(totals)}


def test_every_hook_stands_on_the_page_with_its_sentence():
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("nas_")}
    headed = re.findall(r"^## `(\w+)\((.*)\)`$", prose(HOOKS), re.MULTILINE)
    assert dict(headed) == {name: ", ".join(inspect.signature(hook).parameters) for name, hook in hooks.items()}
    sentence = " ".join(inspect.getdoc(hooks["nas_register_blocks"]).split())
    assert sentence in " ".join(prose(HOOKS).split())


def test_every_column_of_the_leaderboard_stands_on_the_page(database):
    columns = [row[1] for row in database.execute("PRAGMA table_info(nas_leaderboard)")]
    written = [row[0].strip("`") for row in rows(DATABASE, 2)]
    assert written == columns == [field.name for field in fields(Ranked)]


def test_every_table_of_ours_stands_on_the_page():
    written = {row[0].strip("`") for row in rows(DATABASE, 3)}
    assert written == {*metadata.tables, VERSION_TABLE}


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_query_gives_rows(database, query):
    assert len(QUERIES) >= 6
    answer = database.execute(query)
    found = answer.fetchall()
    assert found
    assert all(any(value is not None for value in column) for column in zip(*found, strict=True))


def test_format_of_the_page_is_the_program_s():
    assert NETWORKS[0]["format"] == Architecture((1, 1, 1), 2, ()).to_json()["format"]
