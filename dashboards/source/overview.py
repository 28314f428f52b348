"""The overview: every target and path, its limit, what to set, who is at risk, and what is wrong."""

from grafana_foundation_sdk.models import common, dashboard

from frame import BY_PATHS, BY_TARGETS, OVERVIEW, PATH, at_risk, framed, link, runbook
from panels import (
    AGE, BLUE, GREEN, ORANGE, RED, YELLOW, Look, Panel, Query, event_panel, fixed, line_panel, mapping, override, stat_panel,
    table_panel, thresholds, timeline_panel, transform,
)
from words import ANSWERS, CULPRITS, LAYER_NAMES, QUIET, RULES, WRONG, Words

WHO = "job, instance, target, path"
LIMIT = f'max by ({WHO}) (mysql_canary_idle_limit_upper_seconds{{{BY_PATHS}, kind="idle"}})'
# From any row of a table, to its path.
TO_PATH = dashboard.DashboardLink(
    title="This path",
    url=f"/d/{PATH}?${{datasource:queryparam}}&${{__url_time_range}}"
    "&var-job=${__data.fields.job}&var-instance=${__data.fields.instance}"
    "&var-target=${__data.fields.Target}&var-path=${__data.fields.path}",
)
# Columns that links need and nobody reads: what differs between rows stands in columns of its own.
HIDDEN = override("job|instance|path", {"custom.hidden": True}, "byRegexp")
LINKED = override("Target|Exporter|Path", {"links": [TO_PATH]}, "byRegexp")


def where_they_differ(label: str, shown: str) -> str:
    """A column with this label of each path, and without it where all have the same."""
    paths = f"mysql_canary_path_info{{{BY_PATHS}}}"
    return f'label_replace(max by ({WHO}) ({paths}), "{shown}", "$1", "{label}", "(.*)") and on () (count(count by ({label}) ({paths})) > 1)'


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
        total("Paths watched", "One path is one address of one target.", f"count({path_of})"),
        total(
            "Paths with an idle limit",
            "Paths on which an idle connection was seen to die. On the others nothing died yet, at any age that was reached.",
            f'count(mysql_canary_idle_limit_upper_seconds{{{BY_PATHS}, kind="idle"}})',
        ),
        known(
            "Sessions at risk",
            "Application sessions idle past the measured limit of their path: their next query fails. Not known without a confirmed limit, or without the privilege PROCESS.",
            f"sum({at_risk(BY_PATHS)})",
            RED,
        ),
        known(
            "Contradictions",
            "Rules about two layers whose settings contradict each other.",
            f"sum(mysql_canary_layer_mismatch{{{BY_PATHS}}})",
            ORANGE,
        ),
        known(
            "Sessions of dead canaries",
            "Canary sessions that a server still lists although their client is dead. Applications leave such sessions too.",
            f"sum(mysql_canary_ghost_sessions{{{BY_PATHS}}})",
            YELLOW,
        ),
        count(
            "Servers that do not answer",
            "Targets whose newest round of the server view failed.",
            f"count(mysql_canary_up{{{BY_TARGETS}}} == 0)",
            RED,
        ),
        count(
            "Paths not measured",
            "Paths on which no canary is launched at present, so that nothing new is learned.",
            f"count({path_of} == 1)",
            ORANGE,
        ),
        count(
            "Exporters down",
            "Exporters that Prometheus cannot scrape. What they knew is missing from every panel here.",
            'count(up{job=~"$job", instance=~"$instance"} == 0)',
            RED,
        ),
    ]


def wrong() -> str:
    """One number for each path, which WRONG has words for: the worst that holds; where nothing does, what QUIET says is known."""
    rule = f'mysql_canary_layer_mismatch{{{BY_PATHS}, rule="%s"}}'
    rules = [f"{rule % name} * {code}" for code, name, _, _ in WRONG if name in RULES and name != "paths_disagree"]
    # Of two paths that differ, the one without a limit is well.
    apart, here = rule % "paths_disagree", f"on ({WHO}) {LIMIT}"
    rules.append(f"({apart} and {here}) * {next(code for code, name, _, _ in WRONG if name == 'paths_disagree')}")
    suspended = f"max by ({WHO}) (mysql_canary_suspended{{{BY_PATHS}}})"
    known = f'max by ({WHO}) (mysql_canary_idle_limit_%s{{{BY_PATHS}, kind="idle"}})'
    of_limit = f"clamp({known % 'confirmed'}, 0, 1) * {QUIET['limit'][0] - QUIET['unconfirmed'][0]} + {QUIET['unconfirmed'][0]} and {LIMIT}"
    states = [
        f'label_replace(({apart} unless {here}) * {QUIET["elsewhere"][0]}, "rule", "elsewhere", "", "")',
        f'label_replace({of_limit}, "rule", "limit", "", "")',
        f'label_replace({known % "lower_seconds"} * 0 + {QUIET["survived"][0]}, "rule", "survived", "", "")',
        f'label_replace({suspended} * {WRONG[1][0]}, "rule", "suspended", "", "")',
        f"label_replace({suspended} * 0 + on (job, instance, target) group_left () (1 - mysql_canary_up{{{BY_TARGETS}}}) * {WRONG[0][0]},"
        ' "rule", "unreachable", "", "")',
    ]
    return f"max by ({WHO}) (" + " or ".join(rules + states) + ")"


def fleet() -> dashboard.Panel:
    """One row for each path, made of one query for each column."""
    risk = at_risk(BY_PATHS)
    columns: list[tuple[str, str]] = [
        ("Layer", f"max by ({WHO}, layer, suspect) (mysql_canary_idle_limit_info{{{BY_PATHS}}})"),
        ("Idle limit", LIMIT),
        ("Recycle below", f"max by ({WHO}) (mysql_canary_recommended_recycle_seconds{{{BY_PATHS}}})"),
        ("Users at risk", f"count by ({WHO}) ({risk} > 0) or sum by ({WHO}) ({risk}) * 0 or {LIMIT} * 0 - 1"),
        ("What is wrong", wrong()),
        ("Contradictions", f"sum by ({WHO}) (mysql_canary_layer_mismatch{{{BY_PATHS}}})"),
        ("Address", f"max by ({WHO}, address) (mysql_canary_path_info{{{BY_PATHS}}})"),
        ("Exporter", where_they_differ("instance", "exporter")),
        ("Path", where_they_differ("path", "way")),
    ]
    letters = dict(zip((name for name, _ in columns), "ABCDEFGHI", strict=True))
    numbers = ("Idle limit", "Recycle below", "Users at risk", "What is wrong", "Contradictions")
    values = {f"Value #{letters[name]}": name for name in numbers}
    order = ["target", "way", "address", f"Value #{letters['Idle limit']}", "layer", "suspect", f"Value #{letters['Recycle below']}",
             f"Value #{letters['Users at risk']}", f"Value #{letters['What is wrong']}", f"Value #{letters['Contradictions']}", "exporter", "job", "instance", "path"]
    alarm = {"custom.cellOptions": common.TableColoredBackgroundCellOptions(mode=common.TableCellBackgroundDisplayMode.BASIC)}
    words = {"custom.cellOptions": common.TableColorTextCellOptions()}
    quiet: Words = {str(code): (text, color) for code, text, color in QUIET.values()}
    named: Words = {**quiet, **{str(code): (text, color) for code, _, text, color in WRONG}}
    panel = Panel(
        "Paths",
        "One row for each path; a click on its target opens it. Idle limit: the shortest idle time that connections died at; none found is the good "
        "news, and leaves a dash where something would follow from it. Recycle below: what pools should be set to. What is wrong: the worst of what holds, and where nothing does, what is known. Contradictions: "
        "how many hold; the table below has all. The likely product is one whose default fits, not a device that was seen.",
        [Query(expr, shape="table") for _, expr in columns],
        24,
        8,
        Look(
            overrides=[
                HIDDEN,
                LINKED,
                # What follows from a limit has no value where none was found.
                override("Layer|Likely product|Recycle below|Users at risk", {"noValue": "–"}, "byRegexp"),
                override("Idle limit", {"noValue": "none found"}),
                override("Layer", {"mappings": [mapping(LAYER_NAMES)], **words}),
                override("Idle limit|Recycle below", {"unit": AGE, "decimals": 0}, "byRegexp"),
                override("Likely product", {"mappings": [mapping({"none": ("not known", "text")})], "custom.width": 230}),
                override(
                    "Users at risk",
                    {"decimals": 0, "mappings": [mapping({"-1": ("not known", "text")})], "thresholds": thresholds([(None, "transparent"), (1, RED)]), **alarm},
                ),
                override("Contradictions", {"decimals": 0, "noValue": "not known"}),
                override("What is wrong", {"mappings": [mapping(named)], "custom.width": 330, **words}),
            ]
        ),
        transformations=[
            transform("merge"),
            transform(
                "organize",
                excludeByName={"Time": True, **{f"Value #{letters[name]}": True for name in letters if name not in numbers}},
                indexByName={name: index for index, name in enumerate(order)},
                renameByName={"target": "Target", "way": "Path", "address": "Address", "layer": "Layer", "suspect": "Likely product", "exporter": "Exporter", **values},
            ),
        ],
    )
    return table_panel(panel, "What is wrong")


def contradictions() -> list[dashboard.Panel]:
    holds = f"mysql_canary_layer_mismatch{{{BY_PATHS}}} == 1"
    now = Panel(
        "Contradictions now",
        "One row for each rule that holds. The runbook says how to confirm each one and what to change.",
        [Query(f'label_replace(max by ({WHO}, rule, pool) ({holds}), "way", "$1", "path", "(.*)")', shape="table")],
        12,
        9,
        Look(
            no_value="none",
            overrides=[
                HIDDEN,
                LINKED,
                override(
                    "What is wrong",
                    {"mappings": [mapping(RULES)], "custom.cellOptions": common.TableColorTextCellOptions(), "custom.width": 360},
                ),
            ],
        ),
        transformations=[
            transform(
                "organize",
                excludeByName={"Time": True, "Value": True},
                indexByName={name: index for index, name in enumerate(["target", "way", "rule", "pool", "job", "instance", "path"])},
                renameByName={"target": "Target", "way": "Path", "rule": "What is wrong", "pool": "Pool"},
            ),
        ],
    )
    since = Panel(
        "Contradictions over time",
        "One row for each rule that held at some time; a gap is a time when it did not.",
        [Query(f"max by ({WHO}, rule, pool) ({holds})", "{{target}}/{{path}} {{rule}} {{pool}} {{instance}}")],
        12,
        9,
        Look(
            words={"1": ("holds", ORANGE)},
            overrides=[
                override(f"^.* {rule} .*$", {"displayName": f"${{__field.labels.target}}/${{__field.labels.path}}: {text}"}, "byRegexp")
                for rule, (text, _) in RULES.items()
            ],
        ),
    )
    return [table_panel(now, "Target", descending=False), timeline_panel(since)]


def changes() -> list[dashboard.Panel]:
    limits = Panel(
        "Idle limits over time",
        "The shortest idle age that died, for each path. A new line is a new limit; a step is a limit that moved.",
        [Query(f'max by ({WHO}) (mysql_canary_idle_limit_upper_seconds{{{BY_PATHS}, kind="idle"}})', "{{instance}} {{target}}/{{path}}")],
        8,
        8,
        Look(unit=AGE),
    )
    risk = Panel(
        "Sessions at risk over time",
        "Application sessions idle past the measured limit, by place and user.",
        [Query(f"sum by (instance, target, path, user) ({at_risk(BY_PATHS)})", "{{instance}} {{target}}/{{path}} {{user}}")],
        8,
        8,
        Look(decimals=0),
    )
    deaths = Panel(
        "Deaths of canaries by cause",
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
        ("Version", f'max by (job, instance, version, revision) (label_replace(mysql_canary_exporter_build_info{{{chosen}}}, "revision", "", "revision", "unknown"))'),
        ("Configuration read", f"max by (job, instance) (mysql_canary_exporter_config_last_reload_successful{{{chosen}}})"),
        ("Configuration age", f"time() - max by (job, instance) (mysql_canary_exporter_config_last_reload_success_timestamp_seconds{{{chosen}}})"),
        ("Running for", f"time() - max by (job, instance) (process_start_time_seconds{{{chosen}}})"),
        ("Memory", f"max by (job, instance) (process_resident_memory_bytes{{{chosen}}})"),
    ]
    values = {f"Value #{letter}": name for letter, (name, _) in zip("ABCDE", columns, strict=True)}
    which = Panel(
        "Exporters and their configuration",
        "A configuration that could not be read leaves the old one in force.",
        [Query(expr, shape="table") for _, expr in columns],
        12,
        8,
        Look(
            overrides=[
                override("Configuration age|Running for", {"unit": AGE, "decimals": 0}, "byRegexp"),
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
                renameByName={"job": "Job", "instance": "Instance", "version": "Version", "revision": "Revision", **values},
            ),
        ],
    )
    sources = Panel(
        "Failed sources of the server view",
        "One row for each source that failed at some time. Without the processlist nothing is known of applications' sessions.",
        [Query(f"mysql_canary_collector_success{{{BY_TARGETS}}} == 0", "{{instance}} {{target}} {{collector}}")],
        6,
        8,
        Look(words={"0": ("failed", RED)}, no_value="all were read"),
    )
    slow = Panel(
        "Time to read the server view",
        "Each source is one query on the exporter's own connection.",
        [Query(f"max by (collector) (mysql_canary_collector_duration_seconds{{{BY_TARGETS}}})", "{{collector}}")],
        6,
        8,
        Look(unit=AGE),
    )
    return [table_panel(which, "Instance", descending=False), timeline_panel(sources), line_panel(slow)]


def overview() -> tuple[dashboard.Dashboard, dict[str, object]]:
    """The whole dashboard."""
    rows = [
        ("Paths", [fleet()]),
        ("Contradictions", contradictions()),
        ("Changes", changes()),
        ("Exporters", exporters()),
        ("Totals", numbers()),
    ]
    about = "Which layer kills idle MySQL connections, on every target and path that mysql-canary-exporter watches."
    return framed(OVERVIEW, "MySQL canary: overview", about, True, [link("One path", PATH, "Everything about one target and path"), runbook()], rows)


