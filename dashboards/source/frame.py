"""A dashboard around its panels: variables, links, places on the grid, and what a dashboard that is shared must name."""

from collections.abc import Sequence
from typing import cast

from grafana_foundation_sdk.models import common, dashboard

from panels import DATASOURCE, GRAFANA

OVERVIEW = "mysql-canary-overview"
PATH = "mysql-canary-path"
# What is chosen of many is a regular expression, and Grafana escapes it. What is chosen alone it leaves as it is: the brackets of
# an IPv6 address would be a class of letters there. A metric of the whole target has no path.
BY_TARGETS = 'job=~"$job", instance=~"$instance", target=~"$target"'
BY_PATHS = BY_TARGETS + ', path=~"$path"'
BY_TARGET = BY_TARGETS.replace("=~", "=")
BY_PATH = BY_PATHS.replace("=~", "=")

Row = tuple[str, Sequence[dashboard.Panel]]


def at_risk(chosen: str) -> str:
    """Sessions whose next query fails."""
    return f"mysql_canary_sessions_at_risk{{{chosen}}}"


PANEL_NAMES = {
    "barchart": "Bar chart",
    "heatmap": "Heatmap",
    "stat": "Stat",
    "state-timeline": "State timeline",
    "table": "Table",
    "timeseries": "Time series",
}


def variables(many: bool) -> list[dashboard.VariableModel]:
    """Data source, job, instance, target and path, each within what was chosen before."""
    made = [
        dashboard.VariableModel(
            type_val=dashboard.VariableType.DATASOURCE, name="datasource", label="Data source", query="prometheus", regex=""
        )
    ]
    chosen: list[str] = []
    for name in ("job", "instance", "target", "path"):
        within = ", ".join(f'{before}{"=~" if many else "="}"${before}"' for before in chosen)
        query = f"label_values(mysql_canary_lives_total{{{within}}}, {name})"
        made.append(
            dashboard.VariableModel(
                type_val=dashboard.VariableType.QUERY,
                name=name,
                label=name.capitalize(),
                datasource=DATASOURCE,
                query={"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
                refresh=dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED,
                sort=dashboard.VariableSort.ALPHABETICAL_ASC,
                multi=many,
                include_all=many,
                current=dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]) if many else None,
            )
        )
        chosen.append(name)
    return made


def placed(rows: Sequence[Row]) -> list[dashboard.Panel | dashboard.RowPanel]:
    """Panels from left to right, rows from top to bottom, on Grafana's grid of 24 columns."""
    made: list[dashboard.Panel | dashboard.RowPanel] = []
    y = 0
    for title, panels in rows:
        made.append(dashboard.RowPanel(title=title, grid_pos=dashboard.GridPos(h=1, w=24, x=0, y=y), id_val=len(made) + 1, panels=[]))
        y += 1
        x = height = 0
        for panel in panels:
            place = panel.grid_pos
            assert place is not None, "every panel says its size"
            if x + place.w > 24:
                x, y, height = 0, y + height, 0
            place.x, place.y = x, y
            x, height = x + place.w, max(height, place.h)
            panel.id_val = len(made) + 1
            made.append(panel)
        y += height
    return made


def annotations(chosen: str, of_target: str) -> list[dashboard.AnnotationQuery]:
    """What happened: restarts, limits that moved, connections that were lost at one moment."""
    upper = f'max by (target, path) (mysql_canary_idle_limit_upper_seconds{{{chosen}, kind="idle"}})'
    before = f'max by (target, path) (mysql_canary_idle_limit_upper_seconds{{{chosen}, kind="idle"}} offset 10m)'
    exporter = of_target.rpartition(", target")[0]
    lost = f'sum by (target, path, culprit) (increase(mysql_canary_deaths_total{{{chosen}, culprit=~"network_state_loss|mass_disconnect"}}[10m])) > 0'
    # Uptime is whole seconds, so a start is known to one or two: to the minute it is one.
    starts = f"max by (target) (round(mysql_canary_server_start_time_seconds{{{of_target}}}, 60)) * 1000"
    began = f"max by (instance) (round(process_start_time_seconds{{{exporter}}}, 60)) * 1000"
    made: list[tuple[str, str, str, str, bool]] = [
        ("Server started", starts, "{{target}}", "purple", True),
        ("Exporter started", began, "{{instance}}", "blue", True),
        ("Idle limit moved", f"abs({upper} / {before} - 1) > 0.1", "{{target}}/{{path}}", "orange", False),
        ("Many connections lost", lost, "{{target}}/{{path}} {{culprit}}", "red", False),
    ]
    return [
        dashboard.AnnotationQuery(
            name=name, datasource=DATASOURCE, enable=True, icon_color=color, expr=expr, step="60s", title_format=name, text_format=text,
            use_value_for_time=at or None,
        )
        for name, expr, text, color, at in made
    ]


def link(title: str, uid: str, tip: str) -> dashboard.DashboardLink:
    """A link at the top, to the same data source, time and choice."""
    return dashboard.DashboardLink(
        title=title,
        type_val=dashboard.DashboardLinkType.LINK,
        icon="dashboard",
        tooltip=tip,
        url=f"/d/{uid}",
        include_vars=True,
        keep_time=True,
    )


def runbook() -> dashboard.DashboardLink:
    """A link at the top to what each alert means and what to change."""
    return dashboard.DashboardLink(
        title="Runbook",
        type_val=dashboard.DashboardLinkType.LINK,
        icon="doc",
        tooltip="What each alert means, how to confirm it, what to change",
        url="https://github.com/mysql-canary-exporter/mysql-canary-exporter/blob/main/alerts/README.md",
        target_blank=True,
    )


def framed(
    uid: str, title: str, description: str, many: bool, links: list[dashboard.DashboardLink], rows: Sequence[Row]
) -> tuple[dashboard.Dashboard, dict[str, object]]:
    """The dashboard, and beside it the keys that an exported one carries and Grafana's types do not know."""
    made = placed(rows)
    board = dashboard.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=["mysql", "mariadb", "mysql-canary"],
        timezone="browser",
        editable=True,
        graph_tooltip=dashboard.DashboardCursorSync.CROSSHAIR,
        time=dashboard.DashboardDashboardTime(from_val="now-24h", to="now"),
        refresh="1m",
        panels=made,
        templating=dashboard.DashboardDashboardTemplating(list_val=variables(many)),
        annotations=dashboard.AnnotationContainer(list_val=annotations(*((BY_PATHS, BY_TARGETS) if many else (BY_PATH, BY_TARGET)))),
        links=links,
    )
    kinds = sorted({panel.type_val for panel in made if isinstance(panel, dashboard.Panel)})
    required: list[dict[str, str]] = [
        {"type": "grafana", "id": "grafana", "name": "Grafana", "version": GRAFANA},
        {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
    ]
    required += [{"type": "panel", "id": kind, "name": PANEL_NAMES[kind], "version": ""} for kind in kinds]
    # The data source is a variable, so an import has nothing to ask for.
    return board, {"__inputs": cast(list[object], []), "__requires": required}
