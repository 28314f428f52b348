"""One target and path: one sentence, the paths of its server, deaths by age, every layer, what it costs, and whether it is measured."""

from grafana_foundation_sdk.models import common, dashboard

from ages import ages
from applications import applications
from frame import BY_PATH, BY_TARGET, OVERVIEW, PATH, at_risk, framed, link, runbook
from measuring import measuring
from panels import AGE, BLUE, GREEN, ORANGE, RED, YELLOW, Look, Panel, Query, line_panel, mapping, override, stat_panel, table_panel, timeline_panel, transform
from words import ANSWERS, HOLDS, LAYER_NAMES, MEASURING, OF_POOLS, RULES, Words, YES_NO


def number(title: str, description: str, expr: str, w: int, look: Look) -> dashboard.Panel:
    return stat_panel(Panel(title, description, [Query(expr, shape="instant")], w, 3, look))


def label(title: str, description: str, expr: str, legend: str, w: int, none: str, words: Words | None = None) -> dashboard.Panel:
    """The labels of an info metric, as words."""
    look = Look(color=BLUE, no_value=none)
    if words:
        look.overrides = [override(name, {"displayName": text, "color": {"mode": "fixed", "fixedColor": color}}) for name, (text, color) in words.items()]
    return stat_panel(Panel(title, description, [Query(expr, legend, shape="instant")], w, 3, look), name_only=True)


# What each cause does to connections, with the number that is a label of the answer.
SENTENCES = {
    "server_idle_timeout": "The server closes idle connections after {limit}; recycle pools {recycle}, or raise wait_timeout",
    "server_kill": "A tool on the server KILLs idle connections after {limit}; recycle pools {recycle}, or stop it",
    "proxy_idle_timeout": "A proxy closes idle connections after {limit}; recycle pools {recycle}; raising wait_timeout does not help",
    "network_idle_timeout": "A firewall, NAT or load balancer drops idle connections after {limit}; recycle pools {recycle}; raising wait_timeout does not help",
    "lifetime_limit": "Connections end at an age of {limit}, whatever they do; recycle pools {recycle}; pings do not help",
    "unknown": "Idle connections end after {limit}, and it is not decided who ends them; recycle pools {recycle}",
    "none": "Nothing was seen to end connections that are idle for {limit} or less",
}


def sentence() -> dashboard.Panel:
    """The path in one sentence: numbers become labels, and the cause picks the words."""
    limit = f'{{{BY_PATH}, kind="idle"}}'
    which = f"topk(1, max by (culprit) (mysql_canary_idle_limit_info{{{BY_PATH}}}))"
    upper = f'count_values("limit", round(max(mysql_canary_idle_limit_upper_seconds{limit}), 0.1))'
    recycle = f'label_replace(count_values("number", max(mysql_canary_recommended_recycle_seconds{{{BY_PATH}}})), "recycle", "below $1 s", "number", "(.*)")'
    known = f"{which} * on () group_left (limit) {upper}"
    lower = f'count_values("limit", round(max(mysql_canary_idle_limit_lower_seconds{limit}), 0.1))'
    expr = (
        f"{known} * on () group_left (recycle) {recycle}"
        f' or on () label_replace({known}, "recycle", "sooner than any can", "", "")'
        f' or on () label_replace({lower}, "culprit", "none", "", "")'
    )
    look = Look(color=BLUE, no_value="Nothing is known of this path yet")
    said = {culprit: text.format(limit="${__field.labels.limit} s", recycle="${__field.labels.recycle}") for culprit, text in SENTENCES.items()}
    look.overrides = [
        override(culprit, {"displayName": text, "color": {"mode": "fixed", "fixedColor": GREEN if culprit == "none" else ORANGE}})
        for culprit, text in said.items()
    ]
    panel = Panel(
        "In one sentence",
        "Who ends idle connections on this path, at which idle time, what to set, and what does not help. The cause is a conclusion from how canaries "
        "ended, what the server listed, and which canaries of another kind died too.",
        [Query(expr, "{{culprit}}", shape="instant")], 24, 3, look,
    )
    return stat_panel(panel, name_only=True)


def siblings() -> list[dashboard.Panel]:
    """The paths of the same server, beside each other: what one alone has lies on its way alone."""
    who = "path"
    columns: list[tuple[str, str]] = [
        ("Address", f"max by ({who}, address) (mysql_canary_path_info{{{BY_TARGET}}})"),
        ("Layer", f"max by ({who}, layer) (mysql_canary_idle_limit_info{{{BY_TARGET}}})"),
        ("Survived", f'max by ({who}) (mysql_canary_idle_limit_lower_seconds{{{BY_TARGET}, kind="idle"}})'),
        ("Idle limit", f'max by ({who}) (mysql_canary_idle_limit_upper_seconds{{{BY_TARGET}, kind="idle"}})'),
        ("Die there", f'max by ({who}) (mysql_canary_idle_limit_share{{{BY_TARGET}, kind="idle"}})'),
    ]
    values = {"Value #C": "Survived", "Value #D": "Idle limit", "Value #E": "Die there"}
    beside = Panel(
        "Paths of this server",
        "What lies on one path alone has a limit there alone; what all share lies on the way that they share. Die there: of the connections that reach the limit.",
        [Query(expr, shape="table") for _, expr in columns],
        12, 7,
        Look(
            overrides=[
                override("Survived|Idle limit", {"unit": AGE, "decimals": 1, "noValue": "none"}, "byRegexp"),
                override("Die there", {"unit": "percentunit", "decimals": 0, "noValue": "–"}),
                override("Layer", {"noValue": "–"}),
                override("Layer", {"mappings": [mapping(LAYER_NAMES)], "custom.cellOptions": common.TableColorTextCellOptions()}),
            ]
        ),
        transformations=[
            transform("merge"),
            transform(
                "organize",
                excludeByName={"Time": True, "Value #A": True, "Value #B": True},
                indexByName={name: index for index, name in enumerate(["path", "address", *values, "layer"])},
                renameByName={"path": "Path", "address": "Address", "layer": "Layer", **values},
            ),
        ],
    )
    over_time = Panel(
        "Idle limits of this server's paths",
        "The shortest idle time that connections died at, for each path.",
        [Query(f'max by (path) (mysql_canary_idle_limit_upper_seconds{{{BY_TARGET}, kind="idle"}})', "{{path}}")],
        12, 7, Look(unit=AGE),
    )
    return [table_panel(beside, "Path", descending=False), line_panel(over_time, log=True)]


def answer() -> list[dashboard.Panel]:
    limit = f'{{{BY_PATH}, kind="idle"}}'
    return [
        sentence(),
        number(
            "Idle time survived",
            "The longest idle age that a canary survived and no later death contradicts. Recycle pooled connections before this age.",
            f"mysql_canary_idle_limit_lower_seconds{limit}", 6, Look(unit=AGE, decimals=1, no_value="none yet"),
        ),
        number(
            "Idle limit",
            "The shortest idle age that a canary died at and no later survival contradicts.",
            f"mysql_canary_idle_limit_upper_seconds{limit}", 6, Look(unit=AGE, decimals=1, steps=[(None, ORANGE)], no_value="nothing died"),
        ),
        number(
            "Recycle below",
            "What pools should be set to, with room to spare: the number of the verdict, the log and the alerts.",
            f"mysql_canary_recommended_recycle_seconds{{{BY_PATH}}}", 6, Look(unit=AGE, decimals=0, color=BLUE, no_value="nothing died"),
        ),
        label(
            "Likely product",
            "A default whose age and ending fit. It is a suspect, not a device that was seen.",
            f"mysql_canary_idle_limit_info{{{BY_PATH}}}", "{{suspect}}", 6, "nothing died", {"none": ("not known", BLUE)},
        ),
        number(
            "TCP keepalive would help",
            "Whether a canary with TCP keepalive, sent in time, lived past the idle limit. When the kernel sends its own is among the timeouts of every layer.",
            f'mysql_canary_remedy{{{BY_PATH}, remedy="tcp_keepalive"}}', 6, Look(words=YES_NO, no_value="not measured"),
        ),
        number(
            "An application's ping would help",
            "Whether a canary that pings lived past the idle limit.",
            f'mysql_canary_remedy{{{BY_PATH}, remedy="app_ping"}}', 6, Look(words=YES_NO, no_value="not measured"),
        ),
        number(
            "Sessions at risk",
            "Application sessions idle past the limit: their next query fails.",
            f"sum({at_risk(BY_PATH)})", 6,
            Look(steps=[(None, GREEN), (1, RED)], decimals=0, no_value="not known"),
        ),
        number(
            "Contradictions",
            "Rules about two layers that contradict each other; they stand below.",
            f"sum(mysql_canary_layer_mismatch{{{BY_PATH}}})", 6,
            Look(steps=[(None, GREEN), (1, ORANGE)], decimals=0, no_value="not known"),
        ),
        number(
            "Canaries",
            "No canary is launched while connects fail, a connection limit is met, or the server has few connections left.",
            f"max(mysql_canary_suspended{{{BY_PATH}}})", 3, Look(words=MEASURING),
        ),
        number(
            "Age of the evidence",
            "Time since the newest death or survival that bears on the limit. It may well be as old as the longest rung.",
            f"time() - max(mysql_canary_idle_limit_evidence_timestamp_seconds{limit})", 4,
            Look(unit=AGE, decimals=0, color=BLUE, no_value="none yet"),
        ),
        number(
            "Server answers", "Whether the newest round of the server view reached the server.",
            f"mysql_canary_up{{{BY_TARGET}}}", 3, Look(words=ANSWERS),
        ),
        label(
            "Address", "The address that it connects to, as it was configured.",
            f"mysql_canary_path_info{{{BY_PATH}}}", "{{address}}", 5, "none",
        ),
        label(
            "Server", "Flavour and version, as the server gives them.",
            f"mysql_canary_server_info{{{BY_TARGET}}}", "{{flavor}} {{version}}", 5, "none",
        ),
        number(
            "Uptime of the server", "Time since the server started. A restart ends every session, whatever its age.",
            f"time() - mysql_canary_server_start_time_seconds{{{BY_TARGET}}}", 4, Look(unit=AGE, decimals=0, color=BLUE, no_value="not known"),
        ),
    ]


def layers() -> list[dashboard.Panel]:
    inventory = Panel(
        "Timeouts of every layer",
        "Every timeout that is known, the shortest first. Idle is compared with idle, age with age, stall with stall. "
        "Measured: canaries showed it. Read: the server or the kernel was asked. Declared: the configuration says so.",
        [Query(f"max by (clock, layer, setting, source) (mysql_canary_layer_timeout_seconds{{{BY_PATH}}})", shape="table")],
        12, 11,
        Look(
            overrides=[
                override("Lasts", {"unit": AGE, "decimals": 1}),
                override(
                    "Known by",
                    {
                        "mappings": [mapping({"measured": ("measured", ORANGE), "read": ("read", BLUE), "declared": ("declared", YELLOW)})],
                        "custom.cellOptions": common.TableColorTextCellOptions(),
                    },
                ),
            ]
        ),
        transformations=[
            transform(
                "organize",
                excludeByName={"Time": True},
                indexByName={name: index for index, name in enumerate(["layer", "setting", "clock", "source", "Value"])},
                renameByName={"layer": "Layer", "setting": "Setting", "clock": "Counts", "source": "Known by", "Value": "Lasts"},
            ),
        ],
    )
    rules = Panel(
        "Contradictions over time",
        "Every rule that could be judged: orange while it holds, green while it does not. A rule without a row, and a gap, could not be judged: facts are missing.",
        [Query(f"max by (rule, pool) (mysql_canary_layer_mismatch{{{BY_PATH}}})", "{{rule}} {{pool}}")],
        12, 11,
        Look(
            words=HOLDS,
            overrides=[
                override(f"^{rule} .+$", {"displayName": f"{text} (${{__field.labels.pool}})"}, "byRegexp")
                if rule in OF_POOLS
                else override(rule, {"displayName": text})
                for rule, (text, _) in RULES.items()
            ],
        ),
    )
    return [table_panel(inventory, "Lasts", descending=False), timeline_panel(rules)]


def path() -> tuple[dashboard.Dashboard, dict[str, object]]:
    """The whole dashboard."""
    rows = [
        ("This path", answer()),
        ("Paths of this server", siblings()),
        ("Ages", ages()),
        ("Timeouts and contradictions", layers()),
        ("Applications", applications()),
        ("Measurement", measuring()),
    ]
    about = "One target and path of mysql-canary-exporter: the idle limit, its culprit, every layer's timeouts, and who is at risk."
    return framed(PATH, "MySQL canary: one path", about, False, [link("Overview", OVERVIEW, "Every target and path"), runbook()], rows)
