"""The overview: every target and path, its limit, its culprit, its contradictions, and who is at risk."""

from grafana_foundation_sdk.models import common, dashboard

from frame import BY_PATHS, BY_TARGETS, OVERVIEW, PATH, at_risk, framed, link, runbook
from panels import (
    AGE, BLUE, GREEN, ORANGE, RED, YELLOW, Look, Panel, Query, event_panel, fixed, line_panel, mapping, override, stat_panel,
    table_panel, thresholds, timeline_panel, transform,
)
from words import ANSWERS, CULPRITS, MEASURING, RULES

WHO = "job, instance, target, path"
# From any row of a table, to its path.
TO_PATH = dashboard.DashboardLink(
    title="This path",
    url=f"/d/{PATH}?${{datasource:queryparam}}&${{__url_time_range}}"
    "&var-job=${__data.fields.Job}&var-instance=${__data.fields.Instance}"
    "&var-target=${__data.fields.Target}&var-path=${__data.fields.Path}",
)
PLACES = {"job": "Job", "instance": "Instance", "target": "Target", "path": "Path"}


def count(title: str, description: str, expr: str, color: str) -> dashboard.Panel:
    """A number that is good at zero, and zero where there is no series."""
    look = Look(steps=[(None, GREEN), (1, color)], decimals=0)
    return stat_panel(Panel(title, description, [Query(f"{expr} or vector(0)", shape="instant")], 6, 3, look))


def known(title: str, description: str, expr: str, color: str) -> dashboard.Panel:
    """A number that is good at zero; without a series nobody knows it."""
    look = Look(steps=[(None, GREEN), (1, color)], decimals=0, no_value="not known")
    return stat_panel(Panel(title, description, [Query(expr, shape="instant")], 6, 3, look))


def total(title: str, description: str, expr: str) -> dashboard.Panel:
    """A number that is neither good nor bad."""
    return stat_panel(Panel(title, description, [Query(f"{expr} or vector(0)", shape="instant")], 6, 3, Look(color=BLUE, decimals=0)))


def numbers() -> list[dashboard.Panel]:
    path_of = f"max by ({WHO}) (mysql_canary_suspended{{{BY_PATHS}}})"
    return [
        total("How many paths are watched?", "One path is one address of one target.", f"count({path_of})"),
        total(
            "How many have an idle limit?",
            "Paths on which an idle connection was seen to die. On the others nothing died yet, at any age that was reached.",
            f'count(mysql_canary_idle_limit_upper_seconds{{{BY_PATHS}, kind="idle"}})',
        ),
        known(
            "How many sessions fail next?",
            "Application sessions idle past the measured limit of their path: their next query fails. Not known without a confirmed limit, or without the privilege PROCESS.",
            f"sum({at_risk(BY_PATHS)})",
            RED,
        ),
        known(
            "How many contradictions hold?",
            "Rules about two layers whose settings contradict each other.",
            f"sum(mysql_canary_layer_mismatch{{{BY_PATHS}}})",
            ORANGE,
        ),
        known(
            "How many ghosts are there?",
            "Canary sessions that a server still lists although their client is dead. Applications leave such sessions too.",
            f"sum(mysql_canary_ghost_sessions{{{BY_PATHS}}})",
            YELLOW,
        ),
        count(
            "How many servers do not answer?",
            "Targets whose newest round of the server view failed.",
            f"count(mysql_canary_up{{{BY_TARGETS}}} == 0)",
            RED,
        ),
        count(
            "How many paths are suspended?",
            "Paths on which no canary is launched at present, so that nothing new is learned.",
            f"count({path_of} == 1)",
            ORANGE,
        ),
        count(
            "How many exporters are down?",
            "Exporters that Prometheus cannot scrape. What they knew is missing from every panel here.",
            'count(up{job=~"$job", instance=~"$instance"} == 0)',
            RED,
        ),
    ]


def fleet() -> dashboard.Panel:
    """One row for each path, made of one query for each column."""
    columns: list[tuple[str, str]] = [
        ("Culprit", f"max by ({WHO}, culprit, layer, suspect) (mysql_canary_idle_limit_info{{{BY_PATHS}}})"),
        ("Survived", f'max by ({WHO}) (mysql_canary_idle_limit_lower_seconds{{{BY_PATHS}, kind="idle"}})'),
        ("Died at", f'max by ({WHO}) (mysql_canary_idle_limit_upper_seconds{{{BY_PATHS}, kind="idle"}})'),
        ("At risk", f"sum by ({WHO}) ({at_risk(BY_PATHS)})"),
        ("Contradictions", f"sum by ({WHO}) (mysql_canary_layer_mismatch{{{BY_PATHS}}})"),
        ("Ghosts", f"max by ({WHO}) (mysql_canary_ghost_sessions{{{BY_PATHS}}})"),
        ("Evidence age", f'time() - max by ({WHO}) (mysql_canary_idle_limit_evidence_timestamp_seconds{{{BY_PATHS}, kind="idle"}})'),
        ("Canaries", f"max by ({WHO}) (mysql_canary_suspended{{{BY_PATHS}}})"),
        (
            "Server answers",
            f'max by ({WHO}) (mysql_canary_suspended{{{BY_PATHS}, reason="connect_failing"}}) * 0'
            f" + on (job, instance, target) group_left () mysql_canary_up{{{BY_TARGETS}}}",
        ),
        ("Address", f"max by ({WHO}, address) (mysql_canary_path_info{{{BY_PATHS}}})"),
    ]
    values = {f"Value #{letter}": name for letter, (name, _) in zip("ABCDEFGHIJ", columns, strict=True)}
    order = ["job", "instance", "target", "path", "address", "layer", "culprit", "suspect", *list(values)[1:]]
    alarm = {"custom.cellOptions": common.TableColoredBackgroundCellOptions(mode=common.TableCellBackgroundDisplayMode.BASIC)}
    panel = Panel(
        "Which layer kills idle connections, on which path, at which age?",
        "One row for each path; a click on its place opens it. The idle limit lies between the age survived and the age died at. "
        "Where nothing died, culprit and age are empty: that is the good news. "
        "A suspect is a product whose default fits, not a device that was seen.",
        [Query(expr, shape="table") for _, expr in columns],
        24,
        9,
        Look(
            overrides=[
                override("Job|Instance|Target|Path", {"links": [TO_PATH]}, "byRegexp"),
                override("Culprit", {"mappings": [mapping(CULPRITS)], "custom.cellOptions": common.TableColorTextCellOptions()}),
                override("Survived|Died at|Evidence age", {"unit": "s", "decimals": 1}, "byRegexp"),
                override("At risk", {"thresholds": thresholds([(None, "transparent"), (1, RED)]), **alarm}),
                override("Contradictions", {"thresholds": thresholds([(None, "transparent"), (1, ORANGE)]), **alarm}),
                override("Ghosts", {"thresholds": thresholds([(None, "transparent"), (1, YELLOW)]), **alarm}),
                override("Canaries", {"mappings": [mapping(MEASURING)], "custom.cellOptions": common.TableColorTextCellOptions()}),
                override("Server answers", {"mappings": [mapping(ANSWERS)], "custom.cellOptions": common.TableColorTextCellOptions()}),
            ]
        ),
        transformations=[
            transform("merge"),
            transform(
                "organize",
                excludeByName={"Time": True, "Value #A": True, "Value #J": True},
                indexByName={name: index for index, name in enumerate(order)},
                renameByName={**PLACES, "address": "Address", "layer": "Layer", "culprit": "Culprit", "suspect": "Suspect", **values},
            ),
        ],
    )
    return table_panel(panel, "At risk")


def contradictions() -> list[dashboard.Panel]:
    now = Panel(
        "Which contradictions hold now?",
        "One row for each rule that holds. The runbook says how to confirm each one and what to change.",
        [Query(f"max by ({WHO}, rule, pool) (mysql_canary_layer_mismatch{{{BY_PATHS}}} == 1)", shape="table")],
        12,
        9,
        Look(
            no_value="none",
            overrides=[
                override("Job|Instance|Target|Path", {"links": [TO_PATH]}, "byRegexp"),
                override(
                    "Rule",
                    {"mappings": [mapping(RULES)], "custom.cellOptions": common.TableColorTextCellOptions(), "custom.width": 380},
                ),
            ],
        ),
        transformations=[
            transform(
                "organize",
                excludeByName={"Time": True, "Value": True},
                indexByName={name: index for index, name in enumerate([*PLACES, "rule", "pool"])},
                renameByName={**PLACES, "rule": "Rule", "pool": "Pool"},
            )
        ],
    )
    since = Panel(
        "Since when do they hold?",
        "One row for each rule that held at some time; a gap is a time when it did not.",
        [Query(f"max by ({WHO}, rule, pool) (mysql_canary_layer_mismatch{{{BY_PATHS}}} == 1)", "{{instance}} {{target}}/{{path}} {{rule}} {{pool}}")],
        12,
        9,
        Look(words={"1": ("holds", ORANGE)}),
    )
    return [table_panel(now, "Instance", descending=False), timeline_panel(since)]


def changes() -> list[dashboard.Panel]:
    limits = Panel(
        "Did an idle limit appear or move?",
        "The shortest idle age that died, for each path. A new line is a new limit; a step is a limit that moved.",
        [Query(f'max by ({WHO}) (mysql_canary_idle_limit_upper_seconds{{{BY_PATHS}, kind="idle"}})', "{{instance}} {{target}}/{{path}}")],
        8,
        8,
        Look(unit=AGE),
    )
    risk = Panel(
        "Whose sessions fail with their next query?",
        "Application sessions idle past the measured limit, by place and user.",
        [Query(f"sum by (instance, target, path, user) ({at_risk(BY_PATHS)})", "{{instance}} {{target}}/{{path}} {{user}}")],
        8,
        8,
        Look(decimals=0),
    )
    deaths = Panel(
        "Who kills canaries?",
        "Canaries of every kind that died in each step, by culprit. Deaths of canaries are how the limit is known: "
        "a steady number is normal on a path that has one.",
        [Query(f"sum by (culprit) (increase(mysql_canary_deaths_total{{{BY_PATHS}}}[$__rate_interval]))", "{{culprit}}")],
        8,
        8,
        Look(
            decimals=0,
            overrides=[override(name, {"displayName": text, "color": fixed(color)}) for name, (text, color) in CULPRITS.items()],
        ),
    )
    return [line_panel(limits, log=True), line_panel(risk), event_panel(deaths)]


def exporters() -> list[dashboard.Panel]:
    chosen = 'job=~"$job", instance=~"$instance"'
    columns: list[tuple[str, str]] = [
        ("Version", f"max by (job, instance, version, revision) (mysql_canary_exporter_build_info{{{chosen}}})"),
        ("Configuration read", f"max by (job, instance) (mysql_canary_exporter_config_last_reload_successful{{{chosen}}})"),
        ("Configuration age", f"time() - max by (job, instance) (mysql_canary_exporter_config_last_reload_success_timestamp_seconds{{{chosen}}})"),
        ("Running for", f"time() - max by (job, instance) (process_start_time_seconds{{{chosen}}})"),
        ("Memory", f"max by (job, instance) (process_resident_memory_bytes{{{chosen}}})"),
    ]
    values = {f"Value #{letter}": name for letter, (name, _) in zip("ABCDE", columns, strict=True)}
    which = Panel(
        "Which exporters run, with which configuration?",
        "A configuration that could not be read leaves the old one in force.",
        [Query(expr, shape="table") for _, expr in columns],
        12,
        8,
        Look(
            overrides=[
                override("Configuration age|Running for", {"unit": "s", "decimals": 0}, "byRegexp"),
                override("Memory", {"unit": "bytes", "decimals": 1}),
                override("Configuration read", {"mappings": [mapping(ANSWERS)], "custom.cellOptions": common.TableColorTextCellOptions()}),
            ]
        ),
        transformations=[
            transform("merge"),
            transform(
                "organize",
                excludeByName={"Time": True, "Value #A": True},
                indexByName={name: index for index, name in enumerate(["job", "instance", "version", "revision", *list(values)[1:]])},
                renameByName={**PLACES, "version": "Version", "revision": "Revision", **values},
            ),
        ],
    )
    sources = Panel(
        "Which part of the server view cannot be read?",
        "One row for each source that failed at some time. Without the processlist nothing is known of applications' sessions.",
        [Query(f"mysql_canary_collector_success{{{BY_TARGETS}}} == 0", "{{instance}} {{target}} {{collector}}")],
        6,
        8,
        Look(words={"0": ("failed", RED)}, no_value="all were read"),
    )
    slow = Panel(
        "How long does the server view take?",
        "Each source is one query on the exporter's own connection.",
        [Query(f"max by (collector) (mysql_canary_collector_duration_seconds{{{BY_TARGETS}}})", "{{collector}}")],
        6,
        8,
        Look(unit="s"),
    )
    return [table_panel(which, "Instance", descending=False), timeline_panel(sources), line_panel(slow)]


def overview() -> tuple[dashboard.Dashboard, dict[str, object]]:
    """The whole dashboard."""
    rows = [
        ("Does anything need me now?", numbers()),
        ("Which layer, at which age?", [fleet()]),
        ("What contradicts?", contradictions()),
        ("What changed?", changes()),
        ("Are the exporters well?", exporters()),
    ]
    about = "Which layer kills idle MySQL connections, on every target and path that mysql-canary-exporter watches."
    return framed(OVERVIEW, "MySQL canary: overview", about, True, [link("One path", PATH, "Everything about one target and path"), runbook()], rows)


