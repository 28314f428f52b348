"""The panels about the applications: their idle sessions against the limit, hanging calls, ghosts and aborted clients."""

from grafana_foundation_sdk.models import dashboard

from frame import BY_PATH, BY_TARGET, at_risk
from panels import AGE, BLUE, GREEN, ORANGE, RED, YELLOW, Look, Panel, Query, bar_panel, event_panel, fixed, line_panel, override, transform

DASHED: dict[str, object] = {"custom.lineStyle": {"fill": "dash", "dash": [8, 6]}, "custom.lineWidth": 2}


def sessions() -> list[dashboard.Panel]:
    idle = f'{{{BY_PATH}, kind="idle"}}'
    longest = Panel(
        "Longest idle session of each user",
        "How long each user's longest sleeper has slept. Above the dashed line its next query fails.",
        [
            Query(f"max by (user) (mysql_canary_session_longest_idle_seconds{{{BY_TARGET}}})", "{{user}}"),
            Query(f"mysql_canary_idle_limit_upper_seconds{idle}", "idle limit: died"),
        ],
        8, 9, Look(unit=AGE, overrides=[override("idle limit: died", {"color": fixed(ORANGE), **DASHED})]),
    )
    spread = Panel(
        "Sessions by idle time, cumulative",
        "Application sessions that are idle for at least so long, now: who is idle for 20 s counts at 10 s too. The ages are the ladder's rungs.",
        [Query(f"sum by (idle_at_least) (mysql_canary_idle_sessions{{{BY_TARGET}}})", shape="table")],
        8, 9, Look(decimals=0, overrides=[override("sessions", {"color": fixed(BLUE)})]),
        transformations=[
            transform("convertFieldType", fields={}, conversions=[{"targetField": "idle_at_least", "destinationType": "number"}]),
            transform("sortBy", fields={}, sort=[{"field": "idle_at_least"}]),
            transform("convertFieldType", fields={}, conversions=[{"targetField": "idle_at_least", "destinationType": "string"}]),
            transform("organize", excludeByName={"Time": True}, indexByName={}, renameByName={"idle_at_least": "idle for at least (s)", "Value": "sessions"}),
        ],
    )
    risk = Panel(
        "Sessions at risk, left behind, held",
        "At risk: idle past the measured limit, and nothing shows that they live on. Left behind: nobody will use them any more. Held: idle for longer than their own pool keeps a connection, so lent and held, or leaked.",
        [
            Query(f"sum by (user) ({at_risk(BY_PATH)})", "at risk: {{user}}"),
            Query(f"sum by (user) (mysql_canary_application_left_behind{{{BY_PATH}}})", "left behind: {{user}}"),
            Query(f"sum by (pool, user) (mysql_canary_sessions_held_past_recycle{{{BY_PATH}}})", "held: {{user}} (pool {{pool}})"),
        ],
        8, 9, Look(decimals=0, low=0),
    )
    return [line_panel(longest, log=True), bar_panel(spread, "idle for at least (s)"), line_panel(risk)]


def consequences() -> list[dashboard.Panel]:
    stall = Panel(
        "Hang of a call on a dead connection",
        "Points: the mean stall in a step, from sending to knowing; the exporter gives up at its probe timeout, an application without a read timeout does not. "
        "Lines: what the kernel and a declared pool would wait.",
        [
            Query(
                f"sum(increase(mysql_canary_stall_seconds_sum{{{BY_PATH}}}[$__rate_interval]))"
                f" / (sum(increase(mysql_canary_stall_seconds_count{{{BY_PATH}}}[$__rate_interval])) > 0)",
                "measured stall",
            ),
            Query(
                f'max by (layer, setting) (mysql_canary_layer_timeout_seconds{{{BY_PATH}, clock="stall", setting=~"send_give_up|.*read_timeout"}})',
                "{{layer}}: {{setting}}",
            ),
        ],
        8, 8,
        Look(
            unit=AGE,
            overrides=[override("measured stall", {"custom.drawStyle": "points", "custom.showPoints": "always", "custom.pointSize": 7, "color": fixed(RED)})],
        ),
        rare=True,
    )
    ghosts = Panel(
        "Sessions of dead canaries on the server",
        "Ghosts: canary sessions that the server lists although their client is dead. They are killed, so a few for a moment are normal on a silent path.",
        [
            Query(f"max(mysql_canary_ghost_sessions{{{BY_PATH}}})", "listed"),
            Query(f"sum by (outcome) (increase(mysql_canary_ghost_kills_total{{{BY_PATH}}}[$__rate_interval]))", "{{outcome}}"),
        ],
        8, 8, Look(decimals=0, low=0, overrides=[override("listed", {"color": fixed(YELLOW)})]),
    )
    aborted = Panel(
        "Aborted_clients, ours and others'",
        "What the server counted, split into canaries that were killed (ours) and the rest: applications that died or closed without COM_QUIT.",
        [
            Query(
                f"clamp_min(increase(mysql_canary_server_aborted_clients_total{{{BY_TARGET}}}[$__rate_interval])"
                f" - on (job, instance, target) increase(mysql_canary_self_aborted_clients_total{{{BY_TARGET}}}[$__rate_interval]), 0)",
                "applications",
            ),
            Query(f"increase(mysql_canary_self_aborted_clients_total{{{BY_TARGET}}}[$__rate_interval])", "ours"),
        ],
        8, 8, Look(decimals=0, overrides=[override("applications", {"color": fixed(RED)}), override("ours", {"color": fixed(BLUE)})]),
    )
    held = Panel(
        "Application sessions by command",
        "Application sessions by user and COMMAND, as the processlist gives them; canaries are left out.",
        [Query(f"sum by (user, command) (mysql_canary_sessions{{{BY_TARGET}}})", "{{user}}: {{command}}")],
        8, 8, Look(decimals=0, low=0),
    )
    room = Panel(
        "Connections against max_connections",
        "With less than a fifth free no canary is launched.",
        [
            Query(f"mysql_canary_server_threads_connected{{{BY_TARGET}}}", "Threads_connected"),
            Query(f"mysql_canary_server_max_connections{{{BY_TARGET}}}", "max_connections"),
        ],
        8, 8, Look(decimals=0, low=0, overrides=[override("Threads_connected", {"color": fixed(GREEN)}), override("max_connections", {"color": fixed(RED), **DASHED})]),
    )
    refused = Panel(
        "Refused connections",
        "Aborted_connects and Connection_errors_*, as the server counts them, whoever tried.",
        [
            Query(f"increase(mysql_canary_server_aborted_connects_total{{{BY_TARGET}}}[$__rate_interval])", "Aborted_connects"),
            Query(f"increase(mysql_canary_server_connection_errors_total{{{BY_TARGET}}}[$__rate_interval])", "Connection_errors_{{error}}"),
        ],
        8, 8, Look(decimals=0, no_value="none were refused"),
    )
    witnesses = Panel(
        "Idle time that application sessions survived",
        "The longest sleep that a session of each user survived within a day, on its own path, and the median of all of the last hour. Above the dashed line "
        "canaries die: who lives there takes another path, or has a keepalive of its own.",
        [
            Query(f"max by (user) (mysql_canary_application_longest_survived_idle_seconds{{{BY_TARGET}}})", "longest: {{user}}"),
            Query(
                f"histogram_quantile(0.5, sum by (le) (increase(mysql_canary_application_survival_age_seconds_bucket{{{BY_TARGET}}}[1h])))",
                "median of all",
            ),
            Query(f'mysql_canary_idle_limit_upper_seconds{{{BY_PATH}, kind="idle"}}', "idle limit: died"),
        ],
        8, 8, Look(unit=AGE, overrides=[override("idle limit: died", {"color": fixed(ORANGE), **DASHED})]),
    )
    endings = Panel(
        "Ends of application sessions",
        "Closed by their client, aborted (KILL, a dropped socket, a network error), ended by wait_timeout, or undecided where the server's counters do not tell.",
        [Query(f"sum by (user, ending) (increase(mysql_canary_application_endings_total{{{BY_TARGET}}}[$__rate_interval]))", "{{user}}: {{ending}}")],
        8, 8, Look(decimals=0, no_value="none ended"),
    )
    drivers = Panel(
        "Drivers of applications",
        "As their sessions say themselves at login; other: none of those that are known here, or one that says nothing.",
        [Query(f"count by (driver) (mysql_canary_application_driver_info{{{BY_TARGET}}})", "{{driver}}")],
        8, 8, Look(decimals=0, low=0, no_value="needs GRANT SELECT ON performance_schema.*"),
    )
    return [line_panel(witnesses, log=True), event_panel(endings), line_panel(drivers), line_panel(stall, log=True), line_panel(ghosts), event_panel(aborted), line_panel(held), line_panel(room), event_panel(refused)]


def applications() -> list[dashboard.Panel]:
    """The row about the applications."""
    return sessions() + consequences()
