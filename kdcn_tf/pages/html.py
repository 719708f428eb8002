"""A report as one HTML file. Everything that it shows is escaped; the page's policy forbids network and scripts."""

from pathlib import Path

from kdcn_tf import extras
from kdcn_tf.pages.content import Number, Page, is_number, readable


def render(page: Page) -> bytes:
    """The HTML file.

    Raises:
        ConfigError: jinja2 isn't installed.
    """
    jinja2 = extras.load("jinja2")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["readable"] = readable
    environment.tests["numeric"] = is_number
    environment.tests["formatted"] = lambda value: isinstance(value, Number)
    return environment.get_template("page.html.jinja").render(page=page).encode("utf-8", "replace")
