"""The page on study files says what the program reads, no more and no less."""

import re
import tomllib
from pathlib import Path

from nas.study.file import study_from_data
from nas.study.tables import TABLES, keys

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "study-file.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*) \|$", PAGE, re.MULTILINE))


def key_paths():
    """Every dotted key but those that are whole tables with a heading of their own."""
    headed = {"budget", "space", "search", "train", "architecture"}
    return {f"{table}.{key}".lstrip(".") for table in TABLES for key in keys(table)} - headed


def test_every_key_stands_on_the_page_and_every_row_is_a_key():
    assert len(ROWS) > 30
    assert set(ROWS) == key_paths()


def test_defaults_on_the_page_are_the_program_s():
    checked = 0
    for table, model in TABLES.items():
        for name, field in model.model_fields.items():
            written = ROWS.get(f"{table}.{name}".lstrip("."), "").split(" | ")[1:2]
            found = re.fullmatch(r"`([^{`]+)`", written[0]) if written else None
            if found:
                value = tomllib.loads(f"value = {found[1]}")["value"]
                assert (tuple(value) if isinstance(value, list) else value) == field.default, name
                checked += 1
            elif written == ["required"]:
                assert field.is_required(), name
    assert checked >= 15


def test_limits_on_the_page_are_the_program_s():
    for words in ("1 to 10,000,000", "1 to 100,000", "1 to 1,048,576", "0 to 2,147,483,647", "1 to 65,536"):
        assert words in PAGE


def test_example_on_the_page_is_a_study():
    example, comparison = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(study_from_data(tomllib.loads(comparison)).candidates) == 2
    study = study_from_data(tomllib.loads(example))
    assert study.budget.to_json() == {"params": 20_000, "receptive_field": 9}
    assert study.options == {"norm": "batch"}


def test_every_study_file_opens_with_its_question_and_is_listed():
    listed = (ROOT / "studies" / "README.md").read_text(encoding="utf-8")
    files = sorted((ROOT / "studies").glob("*.toml"))
    assert files
    for file in files:
        heads = [line.split(":")[0] for line in file.read_text(encoding="utf-8").splitlines()[:4]]
        assert heads == ["# Question", "# Command", "# Time", "# Best"], file.name
        assert f"({file.name})" in listed
