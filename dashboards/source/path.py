"""One target and path: at which age connections die, what every layer says, what it costs, and whether it is measured."""

from grafana_foundation_sdk.models import common, dashboard

from ages import ages
from applications import applications
from frame import BY_PATH, BY_TARGET, OVERVIEW, PATH, at_risk, framed, link, runbook
from measuring import measuring
from panels import BLUE, GREEN, ORANGE, RED, YELLOW, Look, Panel, Query, mapping, override, stat_panel, table_panel, timeline_panel, transform
from words import ANSWERS, CULPRITS, HOLDS, MEASURING, OF_POOLS, RULES, Words, YES_NO


def number(title: str, description: str, expr: str, w: int, look: Look) -> dashboard.Panel:
    return stat_panel(Panel(title, description, [Query(expr, shape="instant")], w, 3, look))


def label(title: str, description: str, expr: str, legend: str, w: int, none: str, words: Words | None = None) -> dashboard.Panel:
    """The labels of an info metric, as words."""
    look = Look(color=BLUE, no_value=none)
    if words:
        look.overrides = [override(name, {"displayName": text, "color": {"mode": "fixed", "fixedColor": color}}) for name, (text, color) in words.items()]
    return stat_panel(Panel(title, description, [Query(expr, legend, shape="instant")], w, 3, look), name_only=True)


def answer() -> list[dashboard.Panel]:
    limit = f'{{{BY_PATH}, kind="idle"}}'
    return [
        label(
            "Who kills idle connections here?",
            "The culprit of the idle limit: a conclusion from how canaries ended, what the server listed, and which twins died too.",
            f"mysql_canary_idle_limit_info{{{BY_PATH}}}", "{{culprit}}", 6, "nothing died", CULPRITS,
        ),
        number(
            "Which idle age was survived?",
            "The longest idle age that a canary survived and no later death contradicts. Recycle pooled connections before this age.",
            f"mysql_canary_idle_limit_lower_seconds{limit}", 6, Look(unit="s", decimals=1, no_value="none yet"),
        ),
        number(
            "At which idle age did they die?",
            "The shortest idle age that a canary died at and no later survival contradicts.",
            f"mysql_canary_idle_limit_upper_seconds{limit}", 6, Look(unit="s", decimals=1, steps=[(None, ORANGE)], no_value="nothing died"),
        ),
        label(
            "Which product's default fits?",
            "A default whose age and ending fit. It is a suspect, not a device that was seen.",
            f"mysql_canary_idle_limit_info{{{BY_PATH}}}", "{{suspect}}", 6, "nothing died",
        ),
        number(
            "Does TCP keepalive help?",
            "Whether a canary with TCP keepalive lived past the idle limit.",
            f'mysql_canary_remedy{{{BY_PATH}, remedy="tcp_keepalive"}}', 6, Look(words=YES_NO, no_value="not measured"),
        ),
        number(
            "Does a ping help?",
            "Whether a canary that pings lived past the idle limit.",
            f'mysql_canary_remedy{{{BY_PATH}, remedy="app_ping"}}', 6, Look(words=YES_NO, no_value="not measured"),
        ),
        number(
            "How many sessions fail next?",
            "Application sessions idle past the limit: their next query fails.",
            f"sum({at_risk(BY_PATH)})", 6,
            Look(steps=[(None, GREEN), (1, RED)], decimals=0, no_value="not known"),
        ),
        number(
            "How many contradictions hold?",
            "Rules about two layers that contradict each other; they stand below.",
            f"sum(mysql_canary_layer_mismatch{{{BY_PATH}}})", 6,
            Look(steps=[(None, GREEN), (1, ORANGE)], decimals=0, no_value="not known"),
        ),
        number(
            "Are canaries launched?",
            "No canary is launched while connects fail, a connection limit is met, or the server has few connections left.",
            f"max(mysql_canary_suspended{{{BY_PATH}}})", 3, Look(words=MEASURING),
        ),
        number(
            "How old is the evidence?",
            "Time since the newest death or survival that bears on the limit. It may well be as old as the longest rung.",
            f"time() - max(mysql_canary_idle_limit_evidence_timestamp_seconds{limit})", 4,
            Look(unit="s", decimals=0, color=BLUE, no_value="none yet"),
        ),
        number(
            "Does the server answer?", "Whether the newest round of the server view reached the server.",
            f"mysql_canary_up{{{BY_TARGET}}}", 3, Look(words=ANSWERS),
        ),
        label(
            "Where does this path lead?", "The address that it connects to, as it was configured.",
            f"mysql_canary_path_info{{{BY_PATH}}}", "{{address}}", 5, "none",
        ),
        label(
            "Which server answers?", "Flavour and version, as the server gives them.",
            f"mysql_canary_server_info{{{BY_TARGET}}}", "{{flavor}} {{version}}", 5, "none",
        ),
        number(
            "How long has it run?", "Time since the server started. A restart ends every session, whatever its age.",
            f"time() - mysql_canary_server_start_time_seconds{{{BY_TARGET}}}", 4, Look(unit="s", decimals=0, color=BLUE, no_value="not known"),
        ),
    ]


def layers() -> list[dashboard.Panel]:
    inventory = Panel(
        "Which timeouts lie on this path, side by side?",
        "Every timeout that is known, the shortest first. Idle is compared with idle, age with age, stall with stall. "
        "Measured: canaries showed it. Read: the server or the kernel was asked. Declared: the configuration says so.",
        [Query(f"max by (clock, layer, setting, source) (mysql_canary_layer_timeout_seconds{{{BY_PATH}}})", shape="table")],
        12, 11,
        Look(
            overrides=[
                override("Lasts", {"unit": "s", "decimals": 1}),
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
        "Which contradictions hold, and since when?",
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
        ("Which layer kills idle connections here, and what helps?", answer()),
        ("At which age do connections die?", ages()),
        ("Which settings contradict?", layers()),
        ("What does it cost the applications?", applications()),
        ("Is it measured?", measuring()),
    ]
    about = "One target and path of mysql-canary-exporter: the idle limit, its culprit, every layer's timeouts, and who is at risk."
    return framed(PATH, "MySQL canary: one path", about, False, [link("Overview", OVERVIEW, "Every target and path"), runbook()], rows)
