"""Proves that the check of published.py refuses what it should: each case breaks one thing in a good dashboard.

Usage: published_test.py DASHBOARD.json
"""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.plugins import register_default_plugins

from published import check

Board = dict[str, Any]


def panel(board: Board, kind: str) -> Any:
    """The first panel of a kind, of those with exceptions if there is one."""
    of_kind = [panel for panel in board["panels"] if panel["type"] == kind]
    return next((panel for panel in of_kind if panel["fieldConfig"].get("overrides")), of_kind[0])


def custom(board: Board, kind: str) -> Any:
    return panel(board, kind)["fieldConfig"]["defaults"]["custom"]


# What is broken, how, and a word of the complaint.
CASES: list[tuple[str, Callable[[Board], Any], str]] = [
    ("an unknown panel type", lambda it: panel(it, "stat").update(type="singlestat"), "unknown panel type"),
    ("an unknown field of a dashboard", lambda it: it.update(rows=[]), "unknown field"),
    ("an unknown field of a panel", lambda it: panel(it, "table").update(styles=[]), "unknown field"),
    ("an unknown option", lambda it: panel(it, "stat")["options"].update(sparkline=True), "unknown field"),
    ("an option of another panel", lambda it: panel(it, "timeseries")["options"].update(cellGap=1), "unknown field"),
    ("an unknown field option", lambda it: custom(it, "timeseries").update(steppedLine=True), "unknown field"),
    ("a wrong enum in options", lambda it: panel(it, "stat")["options"].update(colorMode="rainbow"), "BigValueColorMode"),
    ("a wrong enum in a field option", lambda it: custom(it, "timeseries").update(drawStyle="points!"), "GraphDrawStyle"),
    ("a wrong enum deeper down", lambda it: panel(it, "timeseries")["options"]["legend"].update(displayMode="grid"), "LegendDisplayMode"),
    ("a wrong enum of a variable", lambda it: it["templating"]["list"][0].update(type="prometheus"), "VariableType"),
    ("a text for a number", lambda it: panel(it, "heatmap")["gridPos"].update(h="8"), "is no int"),
    ("a deprecated field of a query", lambda it: panel(it, "stat")["targets"][0].update(intervalFactor=2), "deprecated"),
    ("a deprecated field of a table", lambda it: custom(it, "table").update(displayMode="color-text"), "deprecated"),
    ("a legend as before", lambda it: panel(it, "timeseries")["options"]["legend"].update(asTable=True), "deprecated"),
    ("a table with a footer", lambda it: panel(it, "table")["options"].update(footer={"show": True}), "deprecated"),
    ("an unknown field of a query", lambda it: panel(it, "stat")["targets"][0].update(expression="up"), "unknown field"),
    ("a query of no data source", lambda it: panel(it, "stat")["targets"][0]["datasource"].update(type="graphite9"), "unknown data source"),
    ("an unknown unit", lambda it: panel(it, "heatmap")["fieldConfig"]["defaults"].update(unit="parsecs"), "is no unit"),
    ("an unknown transformation", lambda it: panel(it, "table")["transformations"][0].update(id="seriesToColumns"), "no transformation"),
    (
        "an unknown property of an override",
        lambda it: panel(it, "timeseries")["fieldConfig"]["overrides"][0]["properties"][0].update(id="custom.lineColour"),
        "unknown field",
    ),
    (
        "a wrong cell type in an override",
        lambda it: panel(it, "table")["fieldConfig"]["overrides"][-1]["properties"].append({"id": "custom.cellOptions", "value": {"type": "neon"}}),
        "neon",
    ),
]


def main() -> int:
    register_default_plugins()
    good = json.loads(Path(sys.argv[1]).read_text())
    failed = [f"the untouched dashboard: {error}" for error in check(good, "good")]
    for name, break_it, complaint in CASES:
        broken = copy.deepcopy(good)
        break_it(broken)
        errors = check(broken, "broken")
        if not any(complaint in error for error in errors):
            failed.append(f"{name} is not refused with {complaint!r}: {errors}")
    for failure in failed:
        print(failure, file=sys.stderr)
    print(f"{len(CASES)} broken dashboards, {len(CASES) - len(failed)} refused as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
