"""The kinds of panel both dashboards are made of: Grafana's own types, with this project's habits as defaults."""

from dataclasses import dataclass, field

from grafana_foundation_sdk.models import barchart, common, dashboard, heatmap, prometheus, stat, statetimeline, table, timeseries

# The release whose published types the panels are written against. Grafana migrates panels that name an older one.
GRAFANA = "13.2.3"
DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
# Deaths are rare: a shorter step would be a picture of gaps.
RARE = "5m"
# Every time is in seconds, as in logs, alerts and metrics: Grafana's own unit says 350 s as 5.83 mins, and 10000 s as 2.78 hours.
AGE = "suffix: s"

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "text"


@dataclass
class Query:
    """One query: an instant table, an instant value, a heatmap's rows, or a range."""

    expr: str
    legend: str = ""
    shape: str = "range"

    def target(self, index: int) -> prometheus.Dataquery:
        instant = self.shape in ("instant", "table")
        formats = {"table": prometheus.PromQueryFormat.TABLE, "heatmap": prometheus.PromQueryFormat.HEATMAP}
        return prometheus.Dataquery(
            datasource=DATASOURCE,
            editor_mode=prometheus.QueryEditorMode.CODE,
            expr=self.expr,
            format_val=formats.get(self.shape, prometheus.PromQueryFormat.TIME_SERIES),
            instant=instant,
            range_val=not instant,
            legend_format=self.legend or None,
            ref_id="ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index],
        )


@dataclass
class Look:
    """How values are shown: unit, bounds of colours, words for numbers, and exceptions by field name."""

    unit: str = "short"
    decimals: float | None = None
    steps: list[tuple[float | None, str]] = field(default_factory=lambda: [(None, GREEN)])
    words: dict[str, tuple[str, str]] = field(default_factory=dict)
    no_value: str | None = None
    low: float | None = None
    high: float | None = None
    color: str | None = None
    overrides: list[dashboard.DashboardFieldConfigSourceOverrides] = field(default_factory=list)
    links: list[dashboard.DashboardLink] | None = None

    def config(self, custom: object = None, mode: dashboard.FieldColorModeId | None = None) -> dashboard.FieldConfigSource:
        if self.color is not None:
            color = dashboard.FieldColor(mode=dashboard.FieldColorModeId.FIXED, fixed_color=self.color)
        else:
            color = dashboard.FieldColor(mode=mode or dashboard.FieldColorModeId.THRESHOLDS)
        defaults = dashboard.FieldConfig(
            unit=self.unit,
            decimals=self.decimals,
            min_val=self.low,
            max_val=self.high,
            mappings=[mapping(self.words)] if self.words else [],
            thresholds=thresholds(self.steps),
            color=color,
            no_value=self.no_value,
            links=self.links,
            custom=custom,
        )
        return dashboard.FieldConfigSource(defaults=defaults, overrides=self.overrides)


def mapping(words: dict[str, tuple[str, str]]) -> dashboard.ValueMap:
    """Words and a colour for each value."""
    results = {
        value: dashboard.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return dashboard.ValueMap(options=results)


def thresholds(steps: list[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    """Colours from a value on; the first step has no value."""
    made = [dashboard.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig(mode=dashboard.ThresholdsMode.ABSOLUTE, steps=made)


def override(name: str, properties: dict[str, object], by: str = "byName") -> dashboard.DashboardFieldConfigSourceOverrides:
    """Other properties for one field, found by its name or by a regular expression."""
    return dashboard.DashboardFieldConfigSourceOverrides(
        matcher=dashboard.MatcherConfig(id_val=by, options=name),
        properties=[dashboard.DynamicConfigValue(id_val=key, value=value) for key, value in properties.items()],
    )


def fixed(color: str) -> dict[str, object]:
    """The property value of one colour."""
    return {"mode": dashboard.FieldColorModeId.FIXED, "fixedColor": color}


def shades(color: str) -> dict[str, object]:
    """The property value of one colour in a shade for each series."""
    return {"mode": dashboard.FieldColorModeId.SHADES, "fixedColor": color}


def transform(id_val: str, **options: object) -> dashboard.DataTransformerConfig:
    """One step between the answers and the picture."""
    return dashboard.DataTransformerConfig(id_val=id_val, options=options)


@dataclass
class Panel:
    """What every panel has: the question it answers, why it can be trusted, its queries and its size."""

    title: str
    description: str
    queries: list[Query]
    w: int
    h: int
    look: Look = field(default_factory=Look)
    rare: bool = False
    transformations: list[dashboard.DataTransformerConfig] = field(default_factory=list)

    def made(self, type_val: str, options: object, config: dashboard.FieldConfigSource) -> dashboard.Panel:
        return dashboard.Panel(
            type_val=type_val,
            plugin_version=GRAFANA,
            title=self.title,
            description=self.description,
            datasource=DATASOURCE,
            targets=[query.target(index) for index, query in enumerate(self.queries)],
            grid_pos=dashboard.GridPos(h=self.h, w=self.w),
            interval=RARE if self.rare else None,
            transformations=self.transformations or None,
            options=options,
            field_config=config,
        )


def legend(show: bool = True, calcs: list[str] | None = None) -> common.VizLegendOptions:
    return common.VizLegendOptions(
        display_mode=common.LegendDisplayMode.TABLE if calcs else common.LegendDisplayMode.LIST,
        placement=common.LegendPlacement.BOTTOM,
        show_legend=show,
        calcs=calcs or [],
    )


def tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING, hide_zeros=True)


def newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions(values=False, calcs=["lastNotNull"], fields="")


def stat_panel(panel: Panel, name_only: bool = False) -> dashboard.Panel:
    """One big number, or (`name_only`) the labels of an info metric as words."""
    options = stat.Options(
        graph_mode=common.BigValueGraphMode.NONE,
        color_mode=common.BigValueColorMode.VALUE,
        justify_mode=common.BigValueJustifyMode.AUTO,
        text_mode=common.BigValueTextMode.NAME if name_only else common.BigValueTextMode.VALUE,
        reduce_options=newest(),
        percent_change_color_mode=common.PercentChangeColorMode.STANDARD,
        orientation=common.VizOrientation.AUTO,
    )
    return panel.made("stat", options, panel.look.config())


def line_panel(panel: Panel, log: bool = False, calcs: list[str] | None = None) -> dashboard.Panel:
    """Lines over time."""
    custom = common.GraphFieldConfig(
        draw_style=common.GraphDrawStyle.LINE,
        line_width=1,
        fill_opacity=0,
        show_points=common.VisibilityMode.NEVER,
        span_nulls=False,
        scale_distribution=common.ScaleDistributionConfig(
            type_val=common.ScaleDistribution.LOG if log else common.ScaleDistribution.LINEAR, log=10 if log else None
        ),
    )
    options = timeseries.Options(legend=legend(calcs=calcs), tooltip=tooltip())
    return panel.made("timeseries", options, panel.look.config(custom, dashboard.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))


def event_panel(panel: Panel) -> dashboard.Panel:
    """Stacked bars: how many rare events fell into each step."""
    custom = common.GraphFieldConfig(
        draw_style=common.GraphDrawStyle.BARS,
        line_width=1,
        fill_opacity=80,
        show_points=common.VisibilityMode.NEVER,
        stacking=common.StackingConfig(mode=common.StackingMode.NORMAL, group="A"),
    )
    panel.rare = True
    # What never happened stays in the answer and leaves the legend.
    silent = dashboard.MatcherConfig(id_val="byValue", options={"reducer": "allIsZero", "op": "gte", "value": 0})
    hidden = dashboard.DynamicConfigValue(id_val="custom.hideFrom", value=common.HideSeriesConfig(legend=True, tooltip=True, viz=False))
    panel.look.overrides.append(dashboard.DashboardFieldConfigSourceOverrides(matcher=silent, properties=[hidden]))
    options = timeseries.Options(legend=legend(calcs=["sum"]), tooltip=tooltip())
    return panel.made("timeseries", options, panel.look.config(custom, dashboard.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))


def timeline_panel(panel: Panel) -> dashboard.Panel:
    """States over time, one row each; the legend says what a colour is."""
    options = statetimeline.Options(
        show_value=common.VisibilityMode.NEVER,
        row_height=0.8,
        merge_values=True,
        align_value=common.TimelineValueAlignment.LEFT,
        legend=legend(),
        tooltip=tooltip(),
    )
    custom = statetimeline.FieldConfig(line_width=0, fill_opacity=80)
    # Where colours come from thresholds, Grafana's legend says those, and no words.
    return panel.made("state-timeline", options, panel.look.config(custom, dashboard.FieldColorModeId.PALETTE_CLASSIC))


def table_panel(panel: Panel, sort_by: str, descending: bool = True) -> dashboard.Panel:
    """Rows of facts."""
    options = table.Options(
        cell_height=common.TableCellHeight.SM, sort_by=[common.TableSortByFieldState(display_name=sort_by, desc=descending)]
    )
    custom = common.TableFieldOptions(align=common.FieldTextAlignment.AUTO, cell_options=common.TableAutoCellOptions(), inspect=False)
    return panel.made("table", options, panel.look.config(custom))


def bar_panel(panel: Panel, x: str) -> dashboard.Panel:
    """One bar for each age."""
    options = barchart.Options(
        x_field=x,
        orientation=common.VizOrientation.VERTICAL,
        show_value=common.VisibilityMode.AUTO,
        stacking=common.StackingMode.NONE,
        legend=legend(),
        tooltip=tooltip(),
    )
    custom = barchart.FieldConfig(line_width=1, fill_opacity=80)
    return panel.made("barchart", options, panel.look.config(custom, dashboard.FieldColorModeId.PALETTE_CLASSIC))


def heatmap_panel(panel: Panel) -> dashboard.Panel:
    """Events by time and by bucket; the colour is their number."""
    options = heatmap.Options(
        calculate=False,
        color=heatmap.HeatmapColorOptions(
            mode=heatmap.HeatmapColorMode.SCHEME,
            scheme="Oranges",
            fill="dark-orange",
            scale=heatmap.HeatmapColorScale.EXPONENTIAL,
            exponent=0.5,
            steps=64,
            reverse=False,
        ),
        filter_values=heatmap.FilterValueRange(le=0.001),
        rows_frame=heatmap.RowsHeatmapOptions(layout=common.HeatmapCellLayout.AUTO),
        cell_gap=1,
        y_axis=heatmap.YAxisConfig(unit="s", axis_placement=common.AxisPlacement.LEFT),
        legend=heatmap.HeatmapLegend(show=True),
        tooltip=heatmap.HeatmapTooltip(mode=common.TooltipDisplayMode.SINGLE, y_histogram=True),
        exemplars=heatmap.ExemplarConfig(color="rgba(255,0,255,0.7)"),
        show_value=common.VisibilityMode.NEVER,
    )
    panel.rare = True
    custom = heatmap.FieldConfig(scale_distribution=common.ScaleDistributionConfig(type_val=common.ScaleDistribution.LINEAR))
    return panel.made("heatmap", options, panel.look.config(custom))
