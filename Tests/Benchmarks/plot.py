"""Draws the CPU rows of the table as an SVG that is readable on light and dark pages."""

from xml.sax.saxutils import escape

PREFIX, UNIT = "CPU per request: ", " µs"
PROXIES = ("gateway", "HAProxy", "nginx")
WIDTH, MARGIN, LABEL_WIDTH, VALUE_WIDTH = 800, 16, 250, 80
TOP, BAR, GAP = 76, 13, 15
BARS_WIDTH = WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH

# The background is part of the picture: a page may be dark where the reader's system is light.
STYLE = """
    text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
    .title { font-size: 15px; font-weight: 600 }
    .value, .note { font-size: 12px; fill: #59636e }
    .page { fill: #ffffff }
    .gateway { fill: #0969da } .HAProxy { fill: #818b98 } .nginx { fill: #c5ccd3 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .value, .note { fill: #9198a1 }
      .page { fill: #0d1117 }
      .gateway { fill: #4493f8 } .HAProxy { fill: #9198a1 } .nginx { fill: #4d555f }
    }
"""


def svg(rows):
    """- rows: of the table, as dictionaries by column; those without a CPU time of HAProxy's are left out."""
    groups = [(label, times) for label, times in map(cpu_times, rows) if "HAProxy" in times]
    parts, y = legend(), TOP
    for label, times in groups:
        parts += group(label, times, y)
        y += BAR * len(times) + GAP
    height = y - GAP + MARGIN
    body = "\n  ".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
  <title>CPU time per request of the gateway, HAProxy and nginx</title>
  <style>{STYLE}  </style>
  <rect class="page" width="{WIDTH}" height="{height}" rx="6"/>
  {body}
</svg>
"""


def cpu_times(row):
    if not row["measure"].startswith(PREFIX):
        return row["measure"], {}
    times = {name: row[name].removesuffix(UNIT) for name in PROXIES if row[name].endswith(UNIT)}
    return row["measure"].removeprefix(PREFIX), {name: float(time) for name, time in times.items()}


def legend():
    parts = [
        text(MARGIN, 27, "CPU time per request", "title"),
        text(MARGIN, 47, "Each bar is relative to HAProxy in the same row; shorter is better.", "note"),
    ]
    for index, name in enumerate(PROXIES):
        x = WIDTH - MARGIN - 90 * (len(PROXIES) - index)
        parts += [rectangle(name, x, 17, 11, 11), text(x + 17, 27, name, "")]
    return parts


def group(label, times, y):
    """A label, and a bar for each proxy: its length relative to HAProxy's."""
    longest = BARS_WIDTH / 1.15
    parts = [text(MARGIN + LABEL_WIDTH - 12, y + BAR * len(times) / 2 + 4, label, "", "end")]
    for index, (name, time) in enumerate(times.items()):
        top, length = y + BAR * index, min(time / times["HAProxy"], 1.15) * longest
        x = MARGIN + LABEL_WIDTH
        parts += [rectangle(name, x, top, length, BAR - 2), text(x + length + 6, top + BAR - 3, f"{time:.1f} µs", "value")]
    return parts


def rectangle(name, x, y, width, height):
    return f'<rect class="{name}" x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}"/>'


def text(x, y, content, style, anchor="start"):
    styled = f' class="{style}"' if style else ""
    return f'<text{styled} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
