"""Draws each kind of panel into its place."""

import math
import textwrap

import matplotlib.colors
import matplotlib.ticker
from matplotlib.textpath import TextPath

from answers import named, tables
from looks import COLORS, DIM, EDGE, GRID, PALETTE, PANEL, TEXT, Look, fixed_color, mapped, said, shade, threshold_color

FONT, SMALL, DPI = 8.5, 7, 100
# The width of a letter of a table, in pixels.
CHARACTER = 6.4


class Place:
    """A panel's rectangle on the figure, in pixels from the top left."""

    def __init__(self, figure, width, height, x, y, w, h):
        self.figure, self.width, self.height = figure, width, height
        self.x, self.y, self.w, self.h = x, y, w, h

    def text(self, x, y, text, **style):
        """Text at pixels from the panel's own top left."""
        style = {"fontsize": FONT, "color": TEXT, "va": "center", **style}
        self.figure.text((self.x + x) / self.width, 1 - (self.y + y) / self.height, text, **style)

    def axes(self, left, top, right, bottom):
        """Axes with these margins in pixels."""
        axes = self.figure.add_axes(
            (
                (self.x + left) / self.width,
                1 - (self.y + self.h - bottom) / self.height,
                (self.w - left - right) / self.width,
                (self.h - top - bottom) / self.height,
            ),
            facecolor=PANEL,
        )
        axes.tick_params(colors=DIM, labelsize=SMALL, length=0)
        for spine in axes.spines.values():
            spine.set_color(EDGE)
        return axes

    def empty(self, text):
        self.text(self.w / 2, self.h / 2 + 8, text, ha="center", color=DIM, fontsize=11)


def stat(panel, place, prometheus):
    target, look = panel["targets"][0], Look(panel)
    answers = prometheus.instant(target["expr"])
    if not answers:
        place.text(place.w / 2, place.h / 2 + 12, look.defaults.get("noValue", "No data"), ha="center", fontsize=14, color=DIM)
        return
    labels, value = answers[0]
    name = named(target.get("legendFormat"), labels)
    of = look.of(name, labels)
    if panel["options"]["textMode"] == "name":
        text, color = of.get("displayName", name), fixed_color(of)
    else:
        text, color = mapped(value, of) or (said(value, of.get("unit"), of.get("decimals")), fixed_color(of) or threshold_color(value, of))
    size = min(20, 1.15 * place.w / max(8, len(text)))
    place.text(place.w / 2, place.h / 2 + 12, text, ha="center", fontsize=size, color=color or TEXT)


def table(panel, place, prometheus):
    columns, rows = tables(panel, prometheus)
    look = Look(panel)
    if not rows:
        place.empty(look.defaults.get("noValue", "No data"))
        return
    for sort in reversed(panel["options"].get("sortBy") or []):
        key = sort["displayName"]
        rows = sorted(rows, key=lambda row: (row.get(key) is not None, row.get(key) or 0 if not isinstance(row.get(key), str) else row[key]), reverse=bool(sort.get("desc")))
    columns = [name for name in columns if not look.of(name).get("custom.hidden")]
    shown = [[cell(row.get(name), look.of(name)) for name in columns] for row in rows]
    needs = [max(len(name), *(len(row[index][0]) for row in shown)) + 3 for index, name in enumerate(columns)]
    # What does not fit is smaller, and then cut, as Grafana does.
    scale = min(1, max(0.75, (place.w - 24) / sum(needs) / CHARACTER))
    room = [max(4, int((place.w - 24) * need / sum(needs) / CHARACTER / scale)) for need in needs]
    shown = [[(cut(text, most), *rest) for (text, *rest), most in zip(row, room)] for row in shown]
    lefts = [12 + (place.w - 24) * sum(needs[:index]) / sum(needs) for index in range(len(columns) + 1)]
    height = min(24, (place.h - 60) / max(1, len(rows)))
    for left, name, most in zip(lefts, columns, room):
        place.text(left, 42, cut(name, most), color=COLORS["blue"], fontsize=FONT * scale, weight="bold")
    for index, row in enumerate(shown):
        y = 62 + height * index
        for left, right, (text, color, background) in zip(lefts, lefts[1:], row):
            if background:
                place.figure.patches.append(rectangle(place, left - 5, y - height / 2 + 1, right - left - 4, height - 2, background))
            place.text(left, y, text, color="#111217" if background else color, fontsize=FONT * scale)


def cut(text, most):
    """A text that is no longer than so many letters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def cell(value, look):
    """A cell's text, its colour, and its background if it has one."""
    words = mapped(value, look) if value is not None else None
    text = words[0] if words else value if isinstance(value, str) else said(value, look.get("unit"), look.get("decimals"))
    text = text or look.get("noValue", "")
    kind = look.get("custom.cellOptions", {}).get("type")
    if kind == "color-background" and isinstance(value, float):
        return text, TEXT, threshold_color(value, look)
    if look.get("links"):
        return text, "#6e9fff", None
    return text, (words[1] if words and kind == "color-text" else None) or TEXT, None


def rectangle(place, x, y, w, h, color):
    from matplotlib.patches import Rectangle

    return Rectangle(
        ((place.x + x) / place.width, 1 - (place.y + y + h) / place.height), w / place.width, h / place.height,
        transform=place.figure.transFigure, facecolor=color, edgecolor="none", figure=place.figure, zorder=-1,
    )


def series(panel, prometheus, step):
    """Every series of the panel: name, look, colour, times, values."""
    look, made = Look(panel), []
    for target in panel["targets"]:
        for labels, times, values in prometheus.range(target["expr"], step):
            name = named(target.get("legendFormat"), labels)
            of = look.of(name, labels)
            made.append([of.get("displayName", name), of, fixed_color(of), times, values])
    made.sort(key=lambda one: one[0])
    for index, one in enumerate(made):
        one[2] = one[2] or shade(one[1], index) or PALETTE[index % len(PALETTE)]
    return made


def time_axis(axes, prometheus):
    axes.set_xlim(prometheus.end - prometheus.seconds, prometheus.end)
    # Minutes, as many as there is room for.
    room = axes.get_position().width * axes.figure.get_figwidth() * DPI / 40
    minutes = max(1, math.ceil(prometheus.seconds / 60 / room))
    axes.xaxis.set_major_locator(matplotlib.ticker.FixedLocator([prometheus.end - at for at in range(0, prometheus.seconds + 1, 60 * minutes)]))
    axes.xaxis.set_major_formatter(lambda at, _: f"{(at - prometheus.end) / 60:.0f} min" if at < prometheus.end else "now")


def width_of(name):
    """How wide a name of a legend is, with its colour before it, in pixels."""
    return 26 + TextPath((0, 0), name or " ", size=SMALL).get_extents().width * DPI / 72


def legend(place, entries):
    """Names below the picture; gives the height they take."""
    x, lines = 12, 1
    for _, name in entries:
        width = width_of(name)
        if x + width > place.w - 8 and x > 12:
            x, lines = 12, lines + 1
        x += width
    x, y = 12, place.h - 14 * lines + 2
    for color, name in entries:
        width = width_of(name)
        if x + width > place.w - 8 and x > 12:
            x, y = 12, y + 14
        place.figure.patches.append(rectangle(place, x, y - 2, 10, 4, color))
        place.text(x + 14, y, name, fontsize=SMALL, color=TEXT)
        x += width
    return 14 * lines + 4


def timeseries(panel, place, prometheus, step):
    found = series(panel, prometheus, step)
    look = Look(panel)
    if not found or all(math.isnan(value) for one in found for value in one[4]):
        place.empty(look.defaults.get("noValue", "No data"))
        return
    bars = look.of("").get("custom.drawStyle") == "bars"
    if bars:
        found = [one for one in found if any(value > 0 for value in one[4])]
        if not found:
            place.empty(look.defaults.get("noValue", "none"))
            return
        entries = [(one[2], f"{one[0]}  {sum(value for value in one[4] if value > 0):.0f}") for one in found]
    else:
        entries = [(one[2], one[0]) for one in found]
    below = legend(place, entries)
    axes = place.axes(54, 34, 14, 20 + below)
    bottoms = [0.0] * len(found[0][3])
    for _, of, color, times, values in found:
        if bars:
            heights = [0 if math.isnan(value) else max(0, value) for value in values]
            axes.bar(times, heights, bottom=bottoms, width=step * 0.85, color=color, alpha=0.85)
            bottoms = [low + high for low, high in zip(bottoms, heights)]
        elif of.get("custom.drawStyle") == "points":
            axes.plot(times, values, "o", color=color, markersize=4)
        else:
            dashed = of.get("custom.lineStyle", {}).get("fill") == "dash"
            axes.plot(times, values, color=color, linewidth=of.get("custom.lineWidth", 1) * 1.1, linestyle="--" if dashed else "-")
    unit = look.defaults.get("unit")
    if look.of("").get("custom.scaleDistribution", {}).get("type") == "log":
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        values = [value for one in found for value in one[4] if value > 0]
        if max(values) < 100 * min(values):
            axes.set_yticks([base * 10**power for power in range(-3, 5) for base in (1, 2, 5) if min(values) / 2 <= base * 10**power <= max(values) * 2])
    elif look.defaults.get("min") is not None or bars:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: said(value, unit))
    if look.defaults.get("decimals") == 0:
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, integer=True))
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    time_axis(axes, prometheus)


def timeline(panel, place, prometheus, step):
    look, rows = Look(panel), {}
    for target in panel["targets"]:
        for labels, times, values in prometheus.range(target["expr"], step):
            name = named(target.get("legendFormat"), labels)
            of = look.of(name, labels)
            rows[of.get("displayName", name)] = (of, times, values)
    if not rows:
        place.empty(look.defaults.get("noValue", "No data"))
        return
    options = [found for mapping in look.defaults.get("mappings", []) for found in mapping["options"].values()]
    below = legend(place, [(COLORS[found["color"]], found["text"]) for found in options])
    names = sorted(rows, reverse=True)
    wide = min(place.w * 0.55, 24 + 5.4 * max(len(name) for name in names))
    axes = place.axes(wide, 34, 14, 20 + below)
    for index, name in enumerate(names):
        of, times, values = rows[name]
        for at, value in zip(times, values):
            if not math.isnan(value):
                words = mapped(value, of)
                color = words[1] if words else threshold_color(value, of)
                if color:
                    axes.barh(index, step * 1.05, left=at - step / 2, height=0.75, color=color)
    axes.set_yticks(range(len(names)), [textwrap.shorten(name, int(place.w * 0.55 / 5.2), placeholder="…") for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    time_axis(axes, prometheus)


def barchart(panel, place, prometheus):
    columns, rows = tables(panel, prometheus)
    look, x = Look(panel), panel["options"]["xField"]
    y = next((name for name in columns if name != x), None)
    if not rows or y is None:
        place.empty(look.defaults.get("noValue", "No data"))
        return
    of = look.of(y)
    color = fixed_color(of) or PALETTE[0]
    below = legend(place, [(color, y)])
    axes = place.axes(54, 34, 14, 32 + below)
    values = [row[y] for row in rows]
    axes.bar(range(len(rows)), values, color=color, alpha=0.85, width=0.8)
    for index, value in enumerate(values):
        if value:
            axes.text(index, value, said(value, of.get("unit"), of.get("decimals")), ha="center", va="bottom", color=TEXT, fontsize=SMALL)
    axes.set_xticks(range(len(rows)), [row[x] for row in rows])
    axes.set_xlabel(x, color=DIM, fontsize=SMALL, labelpad=1)
    axes.set_ylim(0, (of.get("max") or max([*values, 1])) * 1.12)
    axes.yaxis.set_major_formatter(lambda value, _: said(value, of.get("unit")))
    axes.grid(color=GRID, linewidth=0.6, axis="y")
    axes.set_axisbelow(True)


def heatmap(panel, place, prometheus, step):
    cumulated = {float(labels["le"]): values for labels, _, values in prometheus.range(panel["targets"][0]["expr"], step)}
    bounds = sorted(cumulated)
    if not bounds:
        place.empty("No data")
        return
    cells, before = [], [0.0] * len(cumulated[bounds[0]])
    for bound in bounds:
        cells.append([max(0.0, now - less) for now, less in zip(cumulated[bound], before)])
        before = cumulated[bound]
    cells = [[value if value > 0.001 else math.nan for value in row] for row in cells]
    axes = place.axes(54, 34, 14, 44)
    start = prometheus.end - prometheus.seconds
    edges = [start + (index - 0.5) * step for index in range(len(cells[0]) + 1)]
    oranges = matplotlib.colors.LinearSegmentedColormap.from_list("oranges", ["#5c2d0c", "#ff780a", "#ffe0c2"])
    most = max((value for row in cells for value in row if not math.isnan(value)), default=1)
    axes.pcolormesh(edges, range(len(bounds) + 1), cells, cmap=oranges, norm=matplotlib.colors.PowerNorm(0.5, 0, most), edgecolor=PANEL, linewidth=0.8)
    axes.set_yticks(range(1, len(bounds) + 1), ["+Inf" if math.isinf(bound) else f"{bound:g} s" for bound in bounds])
    axes.grid(color=GRID, linewidth=0.5, axis="y")
    time_axis(axes, prometheus)
    for index in range(60):
        place.figure.patches.append(rectangle(place, 54 + index * 3, place.h - 18, 3, 7, oranges(index / 59)))
    place.text(54, place.h - 6, "0", fontsize=SMALL, color=DIM)
    place.text(54 + 180, place.h - 6, f"{most:.0f} deaths", fontsize=SMALL, color=DIM, ha="right")
