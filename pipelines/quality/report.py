"""A report as one HTML file: sections of tables and charts. Everything that it shows is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.quality import extras

_ROWS = 50

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 0.5em 0 }
th, td { border-bottom: 1px solid #ddd; padding: 0.2em 0.8em; text-align: left; overflow-wrap: anywhere }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
img { max-width: 100% }
.note { color: #666 }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="note">{{ subtitle }}</p>
{% for section in sections %}
<h2>{{ section.title }}</h2>
{% if section.text %}<p>{{ section.text }}</p>{% endif %}
{% for chart in section.charts %}<p><img src="{{ chart }}" alt="{{ section.title }}"></p>{% endfor %}
{% for table in section.tables %}
<table>
<tr>{% for name in table.header %}<th{% if not loop.first %} class="n"{% endif %}>{{ name }}</th>{% endfor %}</tr>
{% for row in table.shown %}
<tr>{% for cell in row %}<td{% if cell is number %} class="n"{% endif %}>{{ cell | readable }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% if table.hidden %}<p class="note">{{ table.hidden | readable }} more rows are in the JSON file.</p>{% endif %}
{% endfor %}
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Table:
    """Rows under a header; long ones are cut."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def shown(self) -> Sequence[Sequence[Any]]:
        return self.rows[:_ROWS]

    @property
    def hidden(self) -> int:
        return max(0, len(self.rows) - _ROWS)


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it; charts are data URLs."""

    title: str
    text: str = ""
    tables: Sequence[Table] = field(default_factory=tuple)
    charts: Sequence[str] = field(default_factory=tuple)


def readable(value: Any) -> str:
    """A number for people; anything else as text."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def render(title: str, subtitle: str, sections: Sequence[Section]) -> bytes:
    """The HTML file.

    Raises:
        ConfigError: jinja2 isn't installed.
    """
    jinja2 = extras.load("jinja2")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["readable"] = readable
    page = environment.from_string(_PAGE).render(title=title, subtitle=subtitle, sections=sections)
    return page.encode("utf-8", "replace")
