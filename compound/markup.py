"""Tables as HTML, for the notebooks that show a value by it."""

from collections.abc import Iterable, Sequence
from html import escape


def html_table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table under its title; everything in it is escaped."""

    def line(cells: Sequence[object], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    caption = f'<caption style="caption-side:top;text-align:left">{escape(title)}</caption>'
    top = f"<thead>{line(head, 'th')}</thead>" if head else ""
    return f"<table>{caption}{top}<tbody>{body}</tbody></table>"
