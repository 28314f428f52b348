"""A panel's answers as Grafana would have them: its queries with the variables filled in, then its transformations."""

import json
import math
import re
import urllib.parse
import urllib.request

# How often the Prometheus of the pictures scrapes, in seconds: a data source of Grafana's knows it too.
SCRAPE = 2


class Prometheus:
    """A running Prometheus, asked for the last `seconds` seconds with the choice of one dashboard."""

    def __init__(self, address, end, seconds, chosen):
        self.address, self.end, self.seconds, self.chosen = address, end, seconds, chosen

    def _get(self, endpoint, **parameters):
        url = f"{self.address}/api/v1/{endpoint}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)["data"]["result"]

    def _filled(self, expr, step):
        rate = max(step + SCRAPE, 4 * SCRAPE)
        values = {**self.chosen, "__interval": f"{step}s", "__rate_interval": f"{rate}s", "__range": f"{self.seconds}s"}
        for name in sorted(values, key=len, reverse=True):
            expr = expr.replace(f"${name}", values[name])
        return expr

    def instant(self, expr):
        """Pairs of labels and value, now."""
        result = self._get("query", query=self._filled(expr, SCRAPE), time=self.end)
        return [({key: value for key, value in one["metric"].items() if key != "__name__"}, float(one["value"][1])) for one in result]

    def range(self, expr, step):
        """Labels, times and values of each series; what has no value is NaN."""
        start = self.end - self.seconds
        count = int(self.seconds / step) + 1
        times = [start + index * step for index in range(count)]
        made = []
        for one in self._get("query_range", query=self._filled(expr, step), start=start, end=self.end, step=step):
            values = [math.nan] * count
            for at, value in one["values"]:
                values[min(count - 1, round((at - start) / step))] = float(value)
            made.append(({key: value for key, value in one["metric"].items() if key != "__name__"}, times, values))
        return made


def named(legend, labels):
    """The name of a series."""
    if not legend:
        return "Value"
    return re.sub(r"\{\{ *(\w+) *\}\}", lambda match: labels.get(match[1], ""), legend).strip()


def tables(panel, prometheus):
    """The panel's one table after its transformations: the columns' names, and rows as dictionaries."""
    frames = []
    for target in panel["targets"]:
        value = f"Value #{target['refId']}" if len(panel["targets"]) > 1 else "Value"
        answers = prometheus.instant(target["expr"])
        columns = ["Time", *sorted({label for labels, _ in answers for label in labels}), value]
        rows = [{**{key: float(text) if key == "le" else text for key, text in labels.items()}, value: number, "Time": 0} for labels, number in answers]
        frames.append((columns, rows))
    for step in panel.get("transformations", []):
        frames = TRANSFORMATIONS[step["id"]](frames, step["options"])
    return frames[0] if frames else ([], [])


def merge(frames, _):
    frames = [frame for frame in frames if frame[1]]
    keys = [name for name in frames[0][0] if all(name in columns for columns, _ in frames)]
    columns, merged = [], {}
    for names, rows in frames:
        columns += [name for name in names if name not in columns]
        for row in rows:
            merged.setdefault(tuple(row.get(key) for key in keys), {}).update(row)
    return [(columns, list(merged.values()))]


def join(frames, options):
    key = options["byField"]
    columns, joined = [key], {}
    for names, rows in frames:
        columns += [name for name in names if name not in (*columns, "Time")]
        for row in rows:
            joined.setdefault(row[key], {}).update(row)
    return [(columns, list(joined.values()))]


def organize(frames, options):
    columns, rows = frames[0]
    order, gone, new = options["indexByName"], options["excludeByName"], options["renameByName"]
    kept = [name for name in sorted(columns, key=lambda name: order.get(name, 99)) if not gone.get(name)]
    return [([new.get(name, name) for name in kept], [{new.get(name, name): row.get(name) for name in kept} for row in rows])]


def sort_by(frames, options):
    columns, rows = frames[0]
    return [(columns, sorted(rows, key=lambda row: row[options["sort"][0]["field"]]))]


def convert(frames, options):
    columns, rows = frames[0]
    field, kind = options["conversions"][0]["targetField"], options["conversions"][0]["destinationType"]
    for row in rows:
        row[field] = f"{row[field]:g}" if kind == "string" else float(row[field])
    return [(columns, rows)]


def calculate(frames, options):
    columns, rows = frames[0]
    if options["mode"] == "windowFunctions":
        field, size = options["window"]["field"], options["window"]["windowSize"]
        results = [mean([row[field] for row in rows[max(0, index - size + 1) : index + 1]]) for index in range(len(rows))]
    else:
        left, operator, right = (options["binary"][key] for key in ("left", "operator", "right"))
        results = [OPERATORS[operator](operand(left, row), operand(right, row)) for row in rows]
    for row, result in zip(rows, results):
        row[options["alias"]] = result
    return [([*columns, options["alias"]], rows)]


def mean(values):
    return sum(values) / len(values)


def operand(side, row):
    return float(side["fixed"]) if "fixed" in side else row[side["matcher"]["options"]]


def filter_rows(frames, options):
    columns, rows = frames[0]
    bounds = [(rule["fieldName"], rule["config"]["options"]["value"]) for rule in options["filters"]]
    return [(columns, [row for row in rows if all(row[field] > least for field, least in bounds)])]


def filter_fields(frames, options):
    columns, rows = frames[0]
    return [([name for name in columns if name in options["include"]["names"]], rows)]


OPERATORS = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right if right else math.nan,
}
TRANSFORMATIONS = {
    "merge": merge,
    "joinByField": join,
    "organize": organize,
    "sortBy": sort_by,
    "convertFieldType": convert,
    "calculateField": calculate,
    "filterByValue": filter_rows,
    "filterFieldsByName": filter_fields,
}
