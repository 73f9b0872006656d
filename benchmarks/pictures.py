"""One picture for each benchmark: SVG without scripts, legible on light and dark pages."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Comment

import pygal
from pygal.style import Style

from benchmarks.model import OURS, Benchmark, Result

OURS_COLOUR = "#2fae76"
OTHERS_COLOUR = "#8a94a6"
HEIGHT, ROW_HEIGHT, WIDTH = 110, 46, 760
STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="#3d4451",
    foreground_strong="#1c2029",
    foreground_subtle="#8a94a6",
    font_family="system-ui, sans-serif",
    colors=(OTHERS_COLOUR,),
    opacity="1",
    opacity_hover="1",
    transition="0s",
    title_font_size=18,
    label_font_size=14,
    major_label_font_size=14,
    value_font_size=14,
)
DARK = """inline:
@media (prefers-color-scheme: dark) {
  text, .title, .axis text, .axis text.major { fill: #e6e9ef !important; }
  text.value { fill: #000 !important; }
  .axis .line, .axis .guide.line { stroke: #5b6474 !important; }
}
"""


def draw(benchmark: Benchmark, result: Result) -> str:
    """The first measure's medians as bars; the same result gives the same text."""
    measure = benchmark.measures[0]
    medians = result.medians
    shown = [one for one in benchmark.contestants if measure.name in medians.get(one.name, {})]
    chart = pygal.HorizontalBar(
        title=f"{benchmark.title}: {measure.unit}",
        style=STYLE,
        css=["file://style.css", "file://graph.css", DARK],
        js=(),
        width=WIDTH,
        height=HEIGHT + ROW_HEIGHT * len(shown),
        show_legend=False,
        print_values=True,
        print_values_position="end",
        disable_xml_declaration=True,
        explicit_size=False,
        range=(0, 1.15 * max([medians[one.name][measure.name] for one in shown], default=1)),
        y_labels_major_count=5,
        value_formatter=lambda value: f"{value:,g}",
        truncate_label=-1,
        margin_right=40,
    )
    # Its own name instead of a random one.
    chart.uuid = benchmark.name
    # Bars are drawn from below.
    shown.reverse()
    chart.x_labels = [one.name for one in shown]
    chart.add(
        measure.name,
        [
            {
                "value": medians[one.name][measure.name],
                "formatter": measure.show,
                "color": OURS_COLOUR if one.name == OURS else OTHERS_COLOUR,
            }
            for one in shown
        ],
    )
    chart.add_xml_filter(_without_scripts)
    return f"{chart.render()}\n"


def _without_scripts(root: Any) -> Any:
    """Take away scripts, and comments with the day of drawing; pygal picks its own XML library."""
    for parent in root.iter():
        for child in list(parent):
            comment = child.tag is Comment or not isinstance(child.tag, str)
            if comment or child.tag.endswith("script"):
                parent.remove(child)
    return root
