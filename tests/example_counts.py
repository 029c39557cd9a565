"""How many examples a property is tried on."""

from hypothesis import settings


def examples(count):
    """As many with the profile `long`, which `make test-all` takes; a share of them with any shorter one."""
    return count * settings.default.max_examples // 100
