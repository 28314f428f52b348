"""Writes the dashboards' JSON; with --check only compares it with what is committed."""

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from overview import overview
from path import path

HERE = Path(__file__).parent.parent


def without_unasked(value: Any) -> Any:
    """Without what the types write though nobody asked: a place that hides a link in a menu, an interval's settings on every
    variable, and a table footer, which Grafana 13 no longer has."""
    if isinstance(value, list):
        return [without_unasked(item) for item in value]
    if not isinstance(value, dict):
        return value
    unasked = {"footer", "auto", "auto_min", "auto_count"} | ({"placement"} if "includeVars" in value or "iconColor" in value else set())
    return {key: without_unasked(item) for key, item in value.items() if key not in unasked}


def texts() -> dict[str, str]:
    """Each file's name and text."""
    made: dict[str, str] = {}
    for board, shared in (overview(), path()):
        content: dict[str, Any] = {**shared, **without_unasked(json.loads(JSONEncoder().encode(board)))}
        made[f"{board.uid}.json"] = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return made


def main() -> int:
    stale = []
    for name, text in texts().items():
        file = HERE / name
        if "--check" not in sys.argv[1:]:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            stale.append(name)
    for name in stale:
        print(f"dashboards/{name} is not what dashboards/source makes: run `make dashboards`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
