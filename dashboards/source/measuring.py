"""The panels about the measurement itself: canaries, outcomes, connects, suspensions and the server view."""

from grafana_foundation_sdk.models import dashboard

from frame import BY_PATH, BY_TARGET
from panels import AGE, BLUE, GREEN, GREY, ORANGE, RED, Look, Panel, Query, event_panel, fixed, line_panel, override, timeline_panel
from words import SUSPENSIONS


def measuring() -> list[dashboard.Panel]:
    """The row about the measurement."""
    held = Panel(
        "Canaries held",
        "By kind. idle: not one byte. keepalive: TCP keepalive. busy: in a statement. active: pings. The last three live only where they decide something.",
        [Query(f"sum by (kind) (mysql_canary_connections{{{BY_PATH}}})", "{{kind}}")],
        8, 8, Look(decimals=0, low=0),
    )
    outcomes = Panel(
        "Outcomes of canaries",
        "Lives of every kind that ended in each step: survived to their probe, or died, by what the wire showed. Void outcomes say nothing and count as neither.",
        [
            Query(
                f"sum(increase(mysql_canary_lives_total{{{BY_PATH}}}[$__rate_interval])) - sum(increase(mysql_canary_deaths_total{{{BY_PATH}}}[$__rate_interval]))",
                "survived",
            ),
            Query(f"sum by (ending) (increase(mysql_canary_deaths_total{{{BY_PATH}}}[$__rate_interval]))", "died: {{ending}}"),
            Query(f"sum by (reason) (increase(mysql_canary_voided_total{{{BY_PATH}}}[$__rate_interval]))", "void: {{reason}}"),
        ],
        8, 8,
        Look(decimals=0, overrides=[override("survived", {"color": fixed(GREEN)}), override("^void: .*", {"color": fixed(GREY)}, "byRegexp")]),
    )
    suspended = Panel(
        "Suspensions",
        "One row for each reason, red while it holds.",
        [Query(f"max by (reason) (mysql_canary_suspended{{{BY_PATH}}})", "{{reason}}")],
        8, 8,
        Look(
            words={"1": ("suspended", RED), "0": ("launched", GREEN)},
            overrides=[override(name, {"displayName": text}) for name, (text, _) in SUSPENSIONS.items()],
        ),
    )
    connects = Panel(
        "Time to connect",
        "TCP connect to the end of the login, for canaries, witness and server view.",
        [
            Query(f"histogram_quantile({share}, sum by (le) (rate(mysql_canary_connect_duration_seconds_bucket{{{BY_PATH}}}[$__rate_interval])))", name)
            for share, name in (("0.5", "half are faster"), ("0.95", "95 % are faster"))
        ],
        8, 8, Look(unit=AGE, overrides=[override("half are faster", {"color": fixed(GREEN)}), override("95 % are faster", {"color": fixed(BLUE)})]),
        rare=True,
    )
    failures = Panel(
        "Failed connects by stage",
        "dns, tcp, tls, greeting, auth, or limit: the server's own word that there are too many connections.",
        [Query(f"sum by (stage) (increase(mysql_canary_connect_failures_total{{{BY_PATH}}}[$__rate_interval]))", "{{stage}}")],
        8, 8, Look(decimals=0, no_value="none failed"),
    )
    sources = Panel(
        "Sources of the server view",
        "Without one, its series are missing. Without PROCESS the processlist shows the exporter's own sessions alone.",
        [Query(f"max by (collector) (mysql_canary_collector_success{{{BY_TARGET}}})", "{{collector}}")],
        8, 8, Look(words={"1": ("read", GREEN), "0": ("failed", ORANGE)}),
    )
    return [line_panel(held), event_panel(outcomes), timeline_panel(suspended), line_panel(connects), event_panel(failures), timeline_panel(sources)]
