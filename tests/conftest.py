"""How thoroughly properties are tried: a third of their examples, all of them with `--hypothesis-profile=long`."""

from hypothesis import settings

settings.register_profile("long", max_examples=100)
settings.register_profile("short", max_examples=34)
settings.load_profile("short")
