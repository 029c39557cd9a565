"""The profile of a study's space, as a plain record and for eyes."""

from __future__ import annotations

from typing import Any

from nas.search.profile import Profile
from nas.show.table import count, pairs, percent, seconds


def profile_record(profile: Profile) -> dict[str, Any]:
    """The fields of `nas profile -f json`."""
    return {
        "feasible": profile.feasible,
        "space_size": profile.space_size,
        "share_feasible": profile.share_feasible,
        "params": dict(profile.params),
        "blocks": dict(profile.blocks),
        "scaled": dict(profile.scaled),
        "smallest_budget": profile.smallest_budget,
        "seconds_expected": profile.seconds_expected,
        "fewest_draws": profile.fewest_draws,
    }


def profile_text(profile: Profile) -> str:
    """The profile, one fact a line."""
    params = ", ".join(f"{name} {count(value)}" for name, value in profile.params.items())
    lines = [
        ("feasible", "yes" if profile.feasible else "no"),
        ("networks", count(profile.space_size)),
        ("fit as drawn", percent(profile.share_feasible)),
        ("params", params),
        ("smallest", ", ".join(f"{name} {limit:,}" for name, limit in profile.smallest_budgets.items())),
        ("expected", seconds(profile.seconds_expected) or "not known"),
    ]
    if profile.fewest_draws is not None:
        lines.append(("counted", f"on as few as {profile.fewest_draws} draws: for more there was no time"))
    shares = [
        (f"  {name}", f"{percent(share)} fit as drawn, {percent(profile.scaled[name])} with widths scaled")
        for name, share in profile.blocks.items()
    ]
    return pairs([*lines, *shares])
