"""The panels about age: when canaries died, who was alive at which age, and how dangerous each age is."""

from grafana_foundation_sdk.models import dashboard

from frame import BY_PATH
from panels import AGE, GREEN, ORANGE, PURPLE, RED, Look, Panel, Query, bar_panel, fixed, heatmap_panel, line_panel, override, shades, transform
from words import LAYERS

IDLE = f'{BY_PATH}, kind="idle"'
DEATHS, SURVIVALS = "mysql_canary_death_age_seconds", "mysql_canary_survival_age_seconds"


LOWER, UPPER = (f"mysql_canary_idle_limit_{end}_seconds{{{IDLE}}}" for end in ("lower", "upper"))
# The windows that had another limit than now: more was survived than is died at now, or less was died at than is survived now, by a
# tenth. A limit that is narrowed stays the same one. Where an end is not known now, it rules nothing out.
ANOTHER_LIMIT = (
    f"(max(max_over_time({LOWER}[$__rate_interval])) > 1.1 * scalar(max({UPPER} @ end()))"
    f" or min(min_over_time({UPPER}[$__rate_interval])) < 0.9 * scalar(max({LOWER} @ end())))"
)


def counted(histogram: str, part: str, by: str = "", more: str = "") -> str:
    """Idle canaries that the chosen time added to a histogram while the limit was what it is now: two limits in one picture
    would be none. The windows overlap, so each is counted some times, all alike: only shares are made of it."""
    step = f"increase({histogram}_{part}{{{IDLE}{more}}}[$__rate_interval]) unless on () {ANOTHER_LIMIT}"
    return f"sum{by} (sum_over_time(({step})[$__range:$__interval]))"


def over_time() -> list[dashboard.Panel]:
    cells = Panel(
        "Deaths by idle time",
        "Each cell counts the idle canaries that died in one step of time, between the age at its lower edge and the one at its upper edge; "
        "the edges are the ladder's rungs. Grafana's heatmap draws no lines: the layers' timeouts lie over the same deaths in the panel beside it.",
        [Query(f"sum by (le) (increase({DEATHS}_bucket{{{IDLE}}}[$__rate_interval]))", "{{le}}", "heatmap")],
        12, 10, Look(unit="short", decimals=0),
    )
    points = {"custom.drawStyle": "points", "custom.showPoints": "always", "custom.pointSize": 7, "color": fixed(RED)}
    dashed = {"custom.lineStyle": {"fill": "dash", "dash": [8, 6]}, "custom.lineWidth": 2}
    lines = Panel(
        "Deaths and every layer's timeout",
        "Points: the mean idle age of the idle canaries that died in a step (sum over count of the histogram). "
        "Dashed: the idle limit, between the age survived and the age died at, and the age at which pools should recycle. "
        "Solid: every layer's timeout that counts idle time or age, in shades of one colour for each layer. A line through the points is the one that kills. "
        "When a limit moves, survived and recycle fall to what is sure at once, and rise while canaries narrow the new one.",
        [
            Query(
                f"sum by (culprit) (increase({DEATHS}_sum{{{IDLE}}}[$__rate_interval]))"
                f" / (sum by (culprit) (increase({DEATHS}_count{{{IDLE}}}[$__rate_interval])) > 0)",
                "died: {{culprit}}",
            ),
            Query(f"mysql_canary_idle_limit_lower_seconds{{{IDLE}}}", "idle limit: survived"),
            Query(f"mysql_canary_idle_limit_upper_seconds{{{IDLE}}}", "idle limit: died"),
            Query(f"mysql_canary_recommended_recycle_seconds{{{BY_PATH}}}", "recommended recycle"),
            Query(
                f'max by (layer, setting, clock) (mysql_canary_layer_timeout_seconds{{{BY_PATH}, clock=~"idle|age", source!="measured"}})',
                "{{layer}}: {{setting}} ({{clock}})",
            ),
        ],
        12, 10,
        Look(
            unit=AGE,
            overrides=[
                override("^died: .*", points, "byRegexp"),
                *(override(f"^{layer}: .*", {"color": shades(color)}, "byRegexp") for layer, color in LAYERS.items()),
                override("idle limit: survived", {"color": fixed(GREEN), **dashed}),
                override("idle limit: died", {"color": fixed(ORANGE), **dashed}),
                override("recommended recycle", {"color": fixed(PURPLE), **dashed}),
            ],
        ),
        rare=True,
    )
    return [heatmap_panel(cells), line_panel(lines, log=True)]


def by_age() -> list[dashboard.Panel]:
    bound = ', le!="+Inf"'
    everyone = f"scalar({counted(DEATHS, 'count')} + {counted(SURVIVALS, 'count')})"
    died, lived = counted(DEATHS, "bucket", " by (le)", bound), counted(SURVIVALS, "bucket", " by (le)", bound)
    alive = Panel(
        "Survival by idle time",
        "Of the idle canaries of the chosen time whose fate at an age is known, the share that was alive then: "
        "those that ended later over those that ended later or had died. Canaries that were probed, and so retired, at a younger age tell nothing of it. "
        "What was before the limit moved is left out.",
        [Query(f"clamp_min({everyone} - {died} - {lived}, 0) / ({everyone} - {lived} > 0)", shape="table")],
        12, 9, Look(unit="percentunit", low=0, high=1, overrides=[override("alive", {"color": fixed(GREEN)})]),
        transformations=[
            transform("sortBy", fields={}, sort=[{"field": "le"}]),
            transform("convertFieldType", fields={}, conversions=[{"targetField": "le", "destinationType": "string"}]),
            transform("organize", excludeByName={"Time": True}, indexByName={}, renameByName={"le": "idle for (s)", "Value": "alive"}),
        ],
    )
    return [bar_panel(alive, "idle for (s)"), hazard(died, lived, everyone)]


def hazard(died: str, lived: str, everyone: str) -> dashboard.Panel:
    """Deaths within a bucket over those that reached it. PromQL cannot take a bucket from the one before it, so Grafana does: twice
    a bucket less twice the mean of both is the step between them."""
    zero = 'label_replace({} * 0, "le", "0", "", "")'

    def mean(of: str) -> dashboard.DataTransformerConfig:
        window = {"field": of, "reducer": "mean", "windowAlignment": "trailing", "windowSizeMode": "fixed", "windowSize": 2}
        return transform("calculateField", mode="windowFunctions", alias=f"{of} mean", replaceFields=False, window=window)

    def binary(alias: str, left: str, operator: str, right: str | float) -> dashboard.DataTransformerConfig:
        def side(operand: str | float) -> dict[str, object]:
            return {"matcher": {"id": "byName", "options": operand}} if isinstance(operand, str) else {"fixed": str(operand)}

        calculation = {"left": side(left), "operator": operator, "right": side(right)}
        return transform("calculateField", mode="binary", alias=alias, replaceFields=False, binary=calculation)

    panel = Panel(
        "Hazard by idle time",
        "The hazard: idle canaries of the chosen time that died between the rung before and this one, over those that were alive at the rung before. "
        "One timer is one tall bar; low bars at every age are something that strikes whatever the age. What was before the limit moved is left out.",
        [
            Query(f"{died} or {zero.format(counted(DEATHS, 'count'))}", shape="table"),
            Query(f"{everyone} - {died} - {lived} or {everyone} + {zero.format(counted(DEATHS, 'count'))}", shape="table"),
        ],
        12, 9, Look(unit="percentunit", low=0, high=1, overrides=[override("dies", {"color": fixed(RED)})]),
        transformations=[
            transform("joinByField", byField="le", mode="outer"),
            transform("sortBy", fields={}, sort=[{"field": "le"}]),
            mean("Value #A"),
            mean("Value #B"),
            binary("half the deaths", "Value #A", "-", "Value #A mean"),
            binary("half the leavers", "Value #B mean", "-", "Value #B"),
            binary("reached", "Value #B mean", "+", "half the leavers"),
            # An age that nobody reached has no hazard; what is left of a difference of equal numbers is nobody. The zero was there to be taken away.
            transform("filterByValue", type="include", match="all",
                      filters=[{"fieldName": of, "config": {"id": "greater", "options": {"value": least}}} for of, least in (("reached", 0.01), ("le", 0))]),
            binary("half the hazard", "half the deaths", "/", "reached"),
            binary("dies", "half the hazard", "*", 2.0),
            transform("convertFieldType", fields={}, conversions=[{"targetField": "le", "destinationType": "string"}]),
            transform("filterFieldsByName", include={"names": ["le", "dies"]}),
            transform("organize", excludeByName={}, indexByName={}, renameByName={"le": "idle for up to (s)"}),
        ],
    )
    return bar_panel(panel, "idle for up to (s)")


def ages() -> list[dashboard.Panel]:
    """The row about age."""
    return over_time() + by_age()
