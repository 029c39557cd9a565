"""From what contestants told to figures: counts, the best network so far, confirmed accuracy over time, the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean, median
from typing import Any

from budgeted_contest import BEGUN, COMPLETE, OVER, REFUSED

Run = Mapping[str, Any]
Confirmed = Mapping[str, float]
"""Test accuracy by fingerprint."""


def counted(told: Sequence[Mapping[str, Any]], begun: float, seconds: float) -> dict[str, Any]:
    """What a contestant told within its time: counts, and the moments at which its best validation accuracy changed.

    `cut_short`: trainings that were begun and not completed, pruned or overtaken by the end. `duplicates`: trainings
    of a network that the same contestant had begun before. `over_budget` networks were asked for, not trained.
    """
    within = sorted((line for line in told if line["at"] - begun <= seconds), key=lambda line: line["at"])
    of = {event: [line for line in within if line["event"] == event] for event in (REFUSED, OVER, BEGUN, COMPLETE)}
    return {
        "asked": len(of[REFUSED]) + len(of[OVER]) + len(of[BEGUN]),
        "refused": len(of[REFUSED]),
        "over_budget": len(of[OVER]),
        "trainings": len(of[BEGUN]),
        "complete": len(of[COMPLETE]),
        "cut_short": len(of[BEGUN]) - len(of[COMPLETE]),
        "duplicates": len(of[BEGUN]) - len({line["fingerprint"] for line in of[BEGUN]}),
        "incumbents": list(incumbents(of[COMPLETE], begun)),
    }


def incumbents(complete: Iterable[Mapping[str, Any]], begun: float) -> Iterator[dict[str, Any]]:
    """The networks that were the best so far, in order, each with the seconds at which it became so."""
    best = -1.0
    for line in complete:
        if line["accuracy"] > best:
            best = line["accuracy"]
            moment = {"seconds": round(line["at"] - begun, 1), "accuracy": round(best, 5)}
            yield moment | {name: line[name] for name in ("fingerprint", "params", "network")}


def curve(run: Run, confirmed: Confirmed) -> list[tuple[float, float]]:
    """(seconds, confirmed accuracy) of the best network so far, of those that were confirmed."""
    found = ((one["seconds"], confirmed.get(one["fingerprint"])) for one in run["incumbents"])
    return [(seconds, reached) for seconds, reached in found if reached is not None]


def reached(points: Sequence[tuple[float, float]], bar: float, *, kept: bool = False) -> float | None:
    """The seconds at which a curve first is at a bar or above; with `kept`, from which it stays there to its end."""
    at = None
    for seconds, accuracy in points:
        if accuracy < bar:
            at = None if kept else at
        elif at is None:
            at = seconds
    return at


def against(ours: Run, rival: Run, confirmed: Confirmed) -> dict[str, Any] | None:
    """When ours had what a rival ended with; None where the rival ended with nothing, or its last is not confirmed.

    `share`: our seconds of the rival's whole time; `share_of_found`: of those after which the rival had that network.
    """
    last = rival["incumbents"][-1] if rival["incumbents"] else None
    bar = confirmed.get(last["fingerprint"]) if last else None
    if last is None or bar is None:
        return None
    points = curve(ours, confirmed)
    at = reached(points, bar)
    kept = reached(points, bar, kept=True)
    whole, found = rival["settings"]["seconds"], last["seconds"]
    return {
        "bar": bar,
        "rival_found_seconds": found,
        "our_seconds": at,
        "our_seconds_kept": kept,
        "share": None if at is None else round(at / whole, 4),
        "share_kept": None if kept is None else round(kept / whole, 4),
        "share_of_found": None if at is None else round(at / found, 4),
        "our_last": points[-1][1] if points else None,
    }


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Median, least and most over the seeds; no median of those that did not all reach."""
    known = [value for value in values if value is not None]
    whole = bool(known) and len(known) == len(values)
    return {
        "median": round(median(known), 4) if whole else None,
        "least": min(known, default=None),
        "most": max(known, default=None) if whole else None,
        "not_reached": len(values) - len(known),
        "seeds": list(values),
    }


def verdict(runs: Mapping[str, Run], place: str, confirmed: Confirmed) -> dict[str, Any]:
    """Ours beside each rival of a place, seed by seed, and what each contestant ended with."""
    by_name: dict[str, dict[str, Run]] = {}
    for key, run in runs.items():
        found, _, rest = key.partition("/")
        name, _, seed = rest.partition("/")
        if found == place and name != "confirmed":
            by_name.setdefault(name, {})[seed] = run
    ends = {name: ended(seeds.values(), confirmed) for name, seeds in by_name.items()}
    rivals = {name: beside(by_name.get("ours", {}), seeds, confirmed) for name, seeds in by_name.items()}
    return {"contestants": ends, "ours_against": {name: one for name, one in rivals.items() if name != "ours" and one}}


def ended(runs: Iterable[Run], confirmed: Confirmed) -> dict[str, Any]:
    """What a contestant asked for, trained and ended with, over its seeds."""
    runs = list(runs)
    lasts = [points[-1][1] if (points := curve(run, confirmed)) else None for run in runs]
    known = [last for last in lasts if last is not None]
    counts = ("asked", "refused", "over_budget", "trainings", "complete", "cut_short", "duplicates")
    return {
        "confirmed": lasts,
        "confirmed_mean": round(mean(known), 5) if known else None,
        **{name: [run[name] for run in runs] for name in counts},
    }


def beside(ours: Mapping[str, Run], rival: Mapping[str, Run], confirmed: Confirmed) -> dict[str, Any] | None:
    """Ours against one rival, over the seeds for which both were given the same."""
    like = {seed: run for seed, run in rival.items() if seed in ours and _given(run) == _given(ours[seed])}
    pairs = {seed: against(ours[seed], run, confirmed) for seed, run in like.items()}
    found = {seed: pair for seed, pair in pairs.items() if pair is not None}
    if not found:
        return None
    names = ("share", "share_kept", "share_of_found")
    return {**{name: spread([pair[name] for pair in found.values()]) for name in names}, "by_seed": found}


def _given(run: Run) -> dict[str, Any]:
    """What a contestant was given; ours may have been told more."""
    return {name: value for name, value in run["settings"].items() if name != "set"}
