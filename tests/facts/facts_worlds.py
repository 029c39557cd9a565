"""The script of the articles' figures as a module, and its figures by id and what they are about."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kernel_facts.py"


def load():
    spec = spec_from_file_location("kernel_facts", SCRIPT)
    module = module_from_spec(spec)
    sys.modules["kernel_facts"] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


kernel_facts = load()
FACTS = {(fact.id, fact.about): fact for fact in kernel_facts.facts()}
EXACT, ROUNDED, CUT, WRONG, UNSAID = (
    getattr(kernel_facts, name) for name in ("EXACT", "ROUNDED", "CUT", "WRONG", "UNSAID")
)


def told(id, about):
    """The program's value to three decimals, and the verdict on the article's."""
    fact = FACTS[id, about]
    return round(fact.value, 3), fact.verdict
