"""Every page: links lead somewhere, commands are commands, nothing speaks of one machine."""

import re
import shlex

import click
import pytest
from doc_pages import PAGES, ROOT, commands, named, prose, text

from nas.cli.main import COMMANDS, main

each_page = pytest.mark.parametrize("page", PAGES, ids=named)


def slugs(page):
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_pages_are_found():
    names = {named(page) for page in PAGES}
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/cli.md", "docs/study-file.md"} < names
    assert len(names) > 15


@each_page
def test_relative_links_resolve(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


@each_page
def test_commands_parse(page, monkeypatch, capsys):
    monkeypatch.setattr(click.Context, "invoke", lambda *args, **kwargs: None)
    for line in commands(page):
        assert main(shlex.split(line)[1:]) == 0, (line, capsys.readouterr().err)


@each_page
def test_commands_in_the_text_exist(page):
    for name in re.findall(r"`nas ([a-z]+)", prose(page)):
        assert name in COMMANDS, name


@each_page
def test_no_page_names_a_place_of_one_machine(page):
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", text(page))


def test_commands_of_the_readme_are_seen():
    assert "nas run small.toml --plugins-dir blocks" in commands(ROOT / "README.md")
    assert sum(len(commands(page)) for page in PAGES) > 20


def test_make_targets_named_in_the_pages_exist():
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    named_there = {target for page in PAGES for target in re.findall(r"^make ([a-z-]+)", text(page), re.MULTILINE)}
    assert {"quickstart", "test"} <= named_there <= targets


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs" / "decisions"
    records = {record.name for record in folder.glob("0*.md")}
    assert len(records) >= 8
    assert set(re.findall(r"\]\((0[^)]+)\)", text(folder / "README.md"))) == records


def test_version_is_in_the_changelog():
    version = re.search(r'^version = "(.+)"$', text(ROOT / "pyproject.toml"), re.MULTILINE)[1]
    assert f"## {version}" in text(ROOT / "CHANGELOG.md")
