"""Draws dashboards from the answers of a running Prometheus, panel by panel, each in its place on Grafana's grid.

No Grafana takes part: queries, variables, transformations, names, units, colours and words are read from the dashboard's JSON,
the drawing is matplotlib's. Usage: draw.py PROMETHEUS SECONDS DIRECTORY DASHBOARD.json…
Each is drawn 1600 pixels wide into the directory, and for the eye 1000 pixels wide into one that is named at the end.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot
from PIL import Image

from answers import Prometheus
from looks import BACK, DIM, EDGE, PANEL, TEXT
from shapes import DPI, Place, barchart, heatmap, rectangle, stat, table, timeline, timeseries

UNIT, GAP, HEAD = 31, 6, 46
# The width of a column, for pictures of 1600 and of 1000 pixels; only the first are kept with the documents.
WIDE, NARROW = 66, 41
# The path that the second dashboard shows.
ONE = {"job": "mysql-canary", "instance": "checkout:10052", "target": "checkout", "path": "firewall"}
ALL = {**dict.fromkeys(ONE, ".+"), "job": "mysql-canary"}


def draw(board, prometheus, note, column):
    width = 24 * column + GAP
    height = HEAD + UNIT * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) + GAP
    figure = matplotlib.pyplot.figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=BACK)
    page = Place(figure, width, height, 0, 0, width, HEAD)
    page.text(14, 22, board["title"], fontsize=13, weight="bold")
    page.text(width - 14, 22, note, fontsize=9, color=DIM, ha="right")
    for panel in board["panels"]:
        grid = panel["gridPos"]
        place = Place(figure, width, height, GAP + grid["x"] * column, HEAD + grid["y"] * UNIT, grid["w"] * column - GAP, grid["h"] * UNIT - GAP)
        if panel["type"] == "row":
            place.text(8, place.h / 2, f"▾  {panel['title']}", fontsize=10.5, weight="bold")
            continue
        figure.patches.append(rectangle(place, -1, -1, place.w + 2, place.h + 2, EDGE))
        figure.patches.append(rectangle(place, 0, 0, place.w, place.h, PANEL))
        place.text(10, 16, panel["title"], fontsize=8.6, weight="bold", color=TEXT)
        fill(panel, place, prometheus)
    return figure


def fill(panel, place, prometheus):
    """The picture inside one panel."""
    # A panel with a shortest step of its own asks for rare events; in the picture an hour is some seconds long.
    step = max(2, prometheus.seconds // 40) if panel.get("interval") else 2
    kind = panel["type"]
    if kind in OVER_TIME:
        OVER_TIME[kind](panel, place, prometheus, step)
    else:
        AT_ONCE[kind](panel, place, prometheus)


OVER_TIME = {"timeseries": timeseries, "state-timeline": timeline, "heatmap": heatmap}
AT_ONCE = {"stat": stat, "table": table, "barchart": barchart}


def main():
    address, seconds, directory, files = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    narrow = Path(tempfile.mkdtemp(prefix="dashboard-pictures-"))
    end = time.time()
    for file in files:
        board = json.loads(Path(file).read_text())
        one = board["uid"].endswith("path")
        chosen = ONE if one else ALL
        words = "   ".join(f"{name}: {'All' if value == '.+' else value}" for name, value in chosen.items())
        name = f"dashboard-{'path' if one else 'overview'}"
        for picture, column in ((directory / f"{name}.png", WIDE), (narrow / f"{name}-narrow.png", NARROW)):
            figure = draw(board, Prometheus(address, end, seconds, chosen), words, column)
            figure.savefig(picture, facecolor=BACK)
            Image.open(picture).convert("RGB").quantize(255, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(picture, optimize=True)
            print(f"{picture}: {picture.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
