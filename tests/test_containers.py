"""The image and the compose file, as far as they can be read: what runs, from what, with which secrets."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from nas.cli.main import COMMANDS
from nas.work.launch import STOP_SECONDS

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_services_are_found():
    assert OURS == ["migrate", "nas", "worker"]
    assert set(SERVICES) - set(OURS) == {"database"}


def test_base_images_are_pinned_to_a_patch():
    bases = [*re.findall(r"^ARG PYTHON=(.+)$", DOCKERFILE, re.MULTILINE), SERVICES["database"]["image"].split(":")[1]]
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["python:${PYTHON}"] * 2
    assert len(bases) == 2
    for tag in bases:
        assert re.match(r"\d+\.\d+(\.\d+)?-", tag), tag


def test_image_bears_the_version_of_the_program():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"nas:{version}"}


def test_passwords_come_from_outside_or_nothing_starts():
    given = [(name, key, value) for name in SERVICES for key, value in SERVICES[name]["environment"].items()]
    secrets = [value for _, key, value in given if "PASSWORD" in key]
    assert len(secrets) == len(SERVICES)
    assert all(re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", value) for value in secrets)
    assert not any(re.search(r"://[^/@]*:", value) for _, _, value in given)


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_little(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service
    assert re.search(r"^USER (?!0)\d+", DOCKERFILE, re.MULTILINE)


def test_workers_start_after_the_schema_and_the_schema_after_the_database():
    assert SERVICES["migrate"]["command"] == ["db", "upgrade"]
    assert SERVICES["migrate"]["command"][0] in COMMANDS
    assert SERVICES["migrate"]["depends_on"]["database"]["condition"] == "service_healthy"
    assert SERVICES["worker"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert "healthcheck" in SERVICES["database"]


def test_workers_are_given_twice_the_time_to_stop_that_their_processes_have():
    [minutes] = re.fullmatch(r"(\d+)m", SERVICES["worker"]["stop_grace_period"]).groups()
    assert 60 * int(minutes) >= 2 * STOP_SECONDS


def test_any_number_of_workers_can_be_started():
    assert not {"container_name", "hostname", "ports"} & set(SERVICES["worker"])


def test_what_the_image_is_built_from_is_not_ignored_and_all_else_is():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert "*" in lines
    assert let_in == {name for line in copied for name in line.split()}
    assert all((ROOT / name).exists() for name in let_in)
