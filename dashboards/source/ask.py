"""Asks a running Prometheus every query of the dashboards, and lists those that are wrong or have no answer.

Usage: ask.py PROMETHEUS DASHBOARD.json…, such as ask.py http://127.0.0.1:9090 dashboards/*.json
Ends with 1 where a query is refused or is empty without a reason in MAY_BE_EMPTY.
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Panels that are empty on healthy data, and why.
MAY_BE_EMPTY = {
    "Failed sources of the server view": "every source is read",
    "Paths": "the column of exporters or of paths is for where they differ",
}


def substituted(expr: str, chosen: dict[str, str]) -> str:
    """The query as Grafana sends it, for every place at once. Longer names first: $__interval is no part of another."""
    expr = expr.replace('="$', '=~"$')
    for name in sorted(chosen, key=len, reverse=True):
        expr = expr.replace(f"${name}", chosen[name])
    return expr


def get(prometheus: str, endpoint: str, **parameters: str) -> Any:
    """The `data` of an answer of Prometheus' HTTP interface."""
    url = f"{prometheus}/api/v1/{endpoint}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise ValueError(json.load(error).get("error", str(error))) from None


def targets(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each panel's title with each of its queries."""
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def main() -> int:
    prometheus, files = sys.argv[1], sys.argv[2:]
    chosen = {"job": "mysql-canary", "instance": ".+", "target": ".+", "path": ".+", "__interval": "5s", "__rate_interval": "1m", "__range": "1h"}
    asked = bad = 0
    for file in files:
        for title, expr in targets(json.loads(Path(file).read_text())):
            asked += 1
            try:
                series = len(get(prometheus, "query", query=substituted(expr, chosen))["result"])
            except ValueError as error:
                bad += 1
                print(f"refused: {Path(file).name}: {title}: {error}\n  {expr}")
                continue
            if series == 0:
                reason = MAY_BE_EMPTY.get(title)
                bad += reason is None
                print(f"empty ({reason or 'NO REASON KNOWN'}): {Path(file).name}: {title}\n  {expr}")
    print(f"{asked} queries asked, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
