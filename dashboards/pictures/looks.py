"""How Grafana shows a value: units, colours, words, and the exceptions that a panel makes for single fields."""

import math
import re

BACK, PANEL, EDGE, TEXT, DIM, GRID = "#111217", "#181b1f", "#2c3235", "#ccccdc", "#8e8e9e", "#2a2d33"
COLORS = {
    "green": "#73bf69", "yellow": "#fade2a", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2", "purple": "#b877d9",
    "super-light-blue": "#c0d8ff", "text": "#ccccdc", "transparent": None,
}
PALETTE = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a", "#447ebc", "#c15c17"]


def said(value, unit, decimals=None):
    """A number with its unit."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if (unit or "").startswith("suffix:"):
        number = f"{value:.3g}" if decimals is None and abs(value) < 1000 else f"{value:.{decimals or 0}f}"
        return number + unit.removeprefix("suffix:")
    if unit == "s":
        return f"{value:g} s"
    if unit == "percentunit":
        return f"{value * 100:.0f}%"
    if unit == "bytes":
        return f"{value / 1024 ** 2:.1f} MiB"
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


class Look:
    """A panel's field configuration, asked for one field at a time."""

    def __init__(self, panel):
        self.defaults = panel["fieldConfig"]["defaults"]
        self.overrides = panel["fieldConfig"].get("overrides", [])

    def of(self, name, labels=None, last_name=None):
        """What holds for the field of this name: the defaults, and over them the overrides that match."""
        made = {**self.defaults, **{f"custom.{key}": value for key, value in (self.defaults.get("custom") or {}).items()}}
        for override in self.overrides:
            by, what = override["matcher"]["id"], override["matcher"]["options"]
            if (by == "byName" and what == name) or (by == "byRegexp" and re.search(what if what.startswith("^") else f"^({what})$", name)):
                made.update({item["id"]: item["value"] for item in override["properties"]})
        if "displayName" in made:
            shown = re.sub(r"\$\{__field\.labels\.(\w+)\}", lambda match: (labels or {}).get(match[1], ""), made["displayName"])
            made["displayName"] = shown.strip()
        return made


def mapped(value, look):
    """The words and colour that a mapping has for a value, or nothing."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    for mapping in look.get("mappings", []):
        found = mapping["options"].get(text)
        if found:
            return found.get("text"), COLORS.get(found.get("color"))
    return None


def threshold_color(value, look):
    """The colour of the highest threshold that a value reaches."""
    color = None
    for step in look.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    return COLORS.get(color)


def fixed_color(look):
    color = look.get("color", {})
    return COLORS.get(color.get("fixedColor")) if color.get("mode") == "fixed" else None


def shade(look, index):
    """A shade of the look's colour, another one for each index; nothing where it has no shades."""
    color = look.get("color", {})
    if color.get("mode") != "shades":
        return None
    strength = 1 - index % 4 * 0.17
    return "#" + "".join(f"{round(int(COLORS[color['fixedColor']][at : at + 2], 16) * strength):02x}" for at in (1, 3, 5))
