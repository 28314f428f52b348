"""Writes the dashboards as one TypeScript file, each panel with the types of @grafana/schema, for its compiler to judge.

Usage: typescript.py PACKAGE OUTPUT DASHBOARD.json…, where PACKAGE is the folder of @grafana/schema and OUTPUT a folder to write.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

# The module of each panel type's options.
MODULES = {
    "barchart": "barchart", "heatmap": "heatmap", "stat": "stat", "state-timeline": "statetimeline", "table": "table", "timeseries": "timeseries",
}


def with_plain_enums(text: str) -> str:
    """Declarations whose enums are unions of their values: TypeScript lets no text from JSON pass for an enum's member."""

    def union(found: re.Match[str]) -> str:
        values = re.findall(r'=\s*("[^"]*"|-?\d+)', found[2])
        return f"export type {found[1]} = {' | '.join(values)};\nexport declare const {found[1]}: any;"

    return re.sub(r"export declare enum (\w+) \{(.*?)\n\}", union, text, flags=re.S)


def copy_types(package: Path, output: Path) -> None:
    """The package's declarations, importing one another by relative paths."""
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(package / "dist/types", output / "types")
    for file in (output / "types").rglob("*.d.ts"):
        ups = "../" * (len(file.relative_to(output / "types").parts) - 1)
        file.write_text(with_plain_enums(file.read_text()).replace("from '@grafana/schema'", f"from '{ups or './'}index'"))


def lines(board: dict[str, Any], name: str) -> list[str]:
    """A dashboard, its panels, their options and field options as typed constants."""
    board = {key: value for key, value in board.items() if key not in ("__inputs", "__requires")}
    made = [f"export const {name}: dashboard.Dashboard = {json.dumps(board)};"]
    for panel in board["panels"]:
        constant = f"{name}_{panel['id']}"
        if panel["type"] == "row":
            made.append(f"export const {constant}: dashboard.RowPanel = {json.dumps(panel)};")
            continue
        module = MODULES[panel["type"]]
        made.append(f"export const {constant}: dashboard.Panel = {json.dumps(panel)};")
        made.append(f"export const {constant}_options: {module}.Options = {json.dumps(panel['options'])};")
        custom = panel["fieldConfig"]["defaults"].get("custom")
        if custom is not None:
            made.append(f"export const {constant}_field: {module}.FieldConfig = {json.dumps(custom)};")
    return made


def main() -> None:
    package, output, files = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    copy_types(package, output)
    made = ["import * as dashboard from './types/raw/dashboard/x/types.gen';"]
    made += [f"import * as {module} from './types/raw/composable/{module}/panelcfg/x/types.gen';" for module in MODULES.values()]
    for index, file in enumerate(files):
        made += lines(json.loads(Path(file).read_text()), f"board{index}")
    (output / "check.ts").write_text("\n".join(made) + "\n")


if __name__ == "__main__":
    main()
