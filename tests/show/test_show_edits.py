"""A change in words."""

import pytest

from nas.show.edits import change_text
from nas.work.nearby import Change, Differing


def change(edit, *differing, widths=(8, 16)):
    rows = tuple(Differing(*one) for one in differing)
    return Change(edit, rows, None, None, None, widths, 1000, 2000, None, None, None, "f" * 32, "conv3 8")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (change("stage2.stacked.kernel", ("stage2", "kernel", 3, 5)), "stage2: kernel 3 → 5"),
        (change("stem.kernel", ("stem", "stem.kernel", 3, 5)), "stem: kernel 3 → 5"),
        (
            change(
                "stage2.block",
                ("stage1", "kernel", 3, 5),
                ("stage2", "block", "stacked", "inception"),
                ("stage2", "stacked.layers", 2, None),
                ("stage2", "inception.split", None, "even"),
            ),
            "stage2: stacked → inception, split even; stage1: kernel 3 → 5",
        ),
        (
            change("stages", ("", "stages", 1, 2), ("stage2", "block", None, "conv"), ("stage2", "depth", None, 1)),
            "stages 1 → 2; stage2: conv, depth 1",
        ),
        (change("stages", ("", "stages", 2, 1), ("stage2", "block", "conv", None)), "stages 2 → 1"),
        (change("stage1.width", ("stage1", "width", 16, 24), widths=(8, 24)), "widths 8 16 → 8 24"),
    ],
)
def test_change_is_told_where_it_was_made_first_and_its_widths_last(changed, words):
    assert change_text(changed, (8, 16)) == words
