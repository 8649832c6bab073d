"""report.py RESULTS DIR [DOCS]: what tests/bench/run measured, as a table (DIR/benchmarks.md, and printed) and a plot
(DIR/benchmarks.svg); with DOCS, also into DOCS/benchmarks.md, between its two marks, and DOCS/benchmarks.svg."""

import csv
import math
import pathlib
import re
import sys
from xml.sax.saxutils import escape

WHO = {
    "mayfly": ("Mayfly", "#d55e00"),
    "boto3": ("boto3, PyGithub", "#0072b2"),
    "js": ("AWS SDK for JavaScript, Octokit", "#009e73"),
    "curl": ("curl, its first request alone", "#8a8a8a"),
    "xml": ("bare `xmlTextReader` pass", "#8a8a8a"),
}
# Who it is where the one has no part of the other.
ALONE = {
    "reap": {"boto3": "boto3", "js": "AWS SDK for JavaScript"},
    "signatures": {"boto3": "botocore", "js": "`@smithy/signature-v4`"},
}
METRICS = {
    "first": ("to the first request, ms", 1),
    "cpu": ("CPU, ms", 1),
    "rss": ("memory, MiB", 1 / 1024),
    "wall": ("elapsed, s", 1 / 1000),
    "requests": ("requests", 1),
    "rate": ("per second of CPU", 1),
}
SIZES = {72: "a question, 72 bytes", 17447: "a launch, 17 KB"}


def read(path):
    """The figures by (part, n, who, metric), in their units; and what is said about the run."""
    figures, about = {}, {}
    with open(path, encoding="utf-8", newline="") as f:
        for part, n, who, metric, value in csv.reader(f, delimiter="\t"):
            if part == "about":
                about[who] = value
            else:
                figures[part, int(n), who, metric] = float(value) * METRICS[metric][1]
    return figures, about


def short(x):
    """About three digits."""
    if x >= 100:
        return f"{x:,.0f}"
    return f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def name(who, part=""):
    return ALONE.get(part, {}).get(who, WHO[who][0])


def table(figures, part, first, metrics, grows=False):
    """Each metric with its ratio to Mayfly's, and what it grew by since the smallest n."""
    rows = list(dict.fromkeys((n, who) for p, n, who, _ in figures if p == part))
    if not rows:
        return []
    head, least = [first, ""], min(n for n, _ in rows)
    for metric in metrics:
        head += [METRICS[metric][0], "ratio"] + ["growth"] * grows
    lines = ["| " + " | ".join(head) + " |", "|---:|---|" + "---:|" * (len(head) - 2)]
    for n, who in rows:
        cells = [SIZES.get(n, f"{n:,}") if part == "signatures" else f"{n:,}", name(who, part)]
        for metric in metrics:
            x, ours, base = (figures.get((part, *k, metric)) for k in ((n, who), (n, "mayfly"), (least, who)))
            cells += [short(x) if metric != "requests" else f"{x:.0f}", short(x / ours)] + [short(x / base)] * grows
        lines.append("| " + " | ".join(cells) + " |")
    return lines + [""]


def markdown(figures, about):
    lines = [
        f"Measured on {about['date']}, on {about['processors']} processors with a load average of {about['load']} before, by `make bench`:",
        f"{about['mayfly']}; {about['boto3']}; {about['js']}.",
        "A ratio is to Mayfly's figure in the same run, a growth to the smallest number's.",
        "",
    ]
    for title, body in (
        ("One start: from exec to the first byte of a request", table(figures, "start", "runners", ["first"])),
        ("One start: from nothing to N runners online", table(figures, "runners", "runners", ["cpu", "rss"], True)),
        ("The same starts, where EC2 lets two instances a second be launched", table(figures, "runners", "runners", ["wall", "requests"])),
        ("A pass of the reaper over instances and runner records, nothing to end", table(figures, "reap", "instances", ["cpu", "rss"], True)),
        ("Signatures", table(figures, "signatures", "request", ["rate"])),
    ):
        if body:
            lines += [f"### {title}", "", *body]
    return "\n".join(lines)


# --- the plot ---------------------------------------------------------------------------------------------------------

WIDTH, PANEL_W, PANEL_H, GAP, TOP = 960, 450, 236, 20, 92
LEFT, RIGHT, HEAD, FOOT = 64, 20, 44, 40  # of the axes in a panel


def text(x, y, s, anchor="start", **more):
    attributes = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in more.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}>{escape(s.replace("`", ""))}</text>'


def bars(part, values, note):
    """A bar for each, from nothing; ratios to Mayfly's beside the values."""
    out, most, step = [], max(values.values()), 40
    for i, (who, x) in enumerate(values.items()):
        y, width = HEAD + 12 + i * step, (PANEL_W - 200) * x / most
        out.append(text(14, y + 4, name(who, part), font_size=11.5, fill="#444"))
        out.append(f'<rect x="14" y="{y + 10:.1f}" width="{max(width, 1.5):.1f}" height="14" rx="2" fill="{WHO[who][1]}"/>')
        ratio = "" if who == "mayfly" else f"  ({short(x / values['mayfly'])}×)"
        out.append(text(20 + width, y + 21, short(x) + ratio, font_size=12, font_weight=600, fill="#222"))
    out.append(text(14, PANEL_H - 14, note, font_size=11, fill="#777"))
    return out


def decades(values):
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))


def lines(series, below):
    """Both axes logarithmic: a line of slope one grows as what it is given."""
    xs = sorted({x for points in series.values() for x in points})
    low, high = decades([y for points in series.values() for y in points.values()])
    w, h = PANEL_W - LEFT - RIGHT, PANEL_H - HEAD - FOOT
    span = math.log(xs[-1] / xs[0]) or 1

    def place(x, y):
        return LEFT + 10 + (w - 60) * math.log(x / xs[0]) / span, HEAD + h - h * (math.log10(y) - low) / max(high - low, 1)

    out = []
    for e in range(low, high + 1):
        y = place(xs[0], 10**e)[1]
        out.append(f'<line x1="{LEFT}" x2="{LEFT + w}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        out.append(text(LEFT - 8, y + 4, f"{10**e:,}" if e >= 0 else f"{10.0**e:g}", "end", font_size=11, fill="#666"))
    for x in xs:
        out.append(text(place(x, 10**low)[0], HEAD + h + 16, f"{x:,}", "middle", font_size=11, fill="#666"))
    out.append(text(LEFT + w / 2, PANEL_H - 8, below + "; both axes logarithmic", "middle", font_size=11, fill="#777"))
    ends = []
    for who, points in series.items():
        at = [place(x, y) for x, y in sorted(points.items())]
        dash = ' stroke-dasharray="4 3"' if who == "xml" else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        out.append(f'<polyline points="{path}" fill="none" stroke="{WHO[who][1]}" stroke-width="2.2"{dash}/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4" fill="{WHO[who][1]}"/>' for x, y in at]
        ends.append([at[-1][1], at[-1][0], short(points[max(points)]), WHO[who][1]])
    ends.sort()
    for above, end in zip(ends, ends[1:]):  # the values at the ends do not overlap
        end[0] = max(end[0], above[0] + 13)
    return out + [text(x + 8, y + 4, label, font_size=11.5, font_weight=600, fill=colour) for y, x, label, colour in ends]


def pick(figures, part, metric):
    """{who: {n: value}}"""
    found = {}
    for (p, n, who, m), x in figures.items():
        if (p, m) == (part, metric):
            found.setdefault(who, {})[n] = x
    return found


def at(series, n):
    return {who: points[n] for who, points in series.items() if n in points}


def panels(figures):
    """Title, and what is in it, for each that was measured."""
    start, cpu, rss = pick(figures, "start", "first"), pick(figures, "runners", "cpu"), pick(figures, "runners", "rss")
    signed = pick(figures, "signatures", "rate")
    if start:
        yield "Start-up to the first request, ms", bars("start", at(start, 1), "median; shorter is better")
    if signed:
        yield "Signatures per second of CPU, a question", bars("signatures", at(signed, min(signed["mayfly"])), "longer is better")
    for part, who, below in (("runners", "start", "runners in one start"), ("reap", "reap", "instances and runner records")):
        for metric, what in (("cpu", "CPU, ms"), ("rss", "memory, MiB")):
            series = pick(figures, part, metric)
            if series:
                yield f"What mayfly {who} does: {what}", lines(series, below)


def svg(figures, about):
    drawn = list(panels(figures))
    height = TOP + math.ceil(len(drawn) / 2) * (PANEL_H + GAP) + 6
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        text(GAP, 36, "Mayfly beside the SDKs", font_size=20, font_weight=600, fill="#222"),
        text(WIDTH - GAP, 36, f"{about['date']}, {about['processors']} processors, one run", "end", font_size=12, fill="#777"),
    ]
    x = GAP
    for who in sorted({who for _, _, who, _ in figures}, key=list(WHO).index):
        out.append(f'<circle cx="{x + 5}" cy="64" r="5" fill="{WHO[who][1]}"/>')
        out.append(text(x + 16, 68, name(who), font_size=12.5, fill="#333"))
        x += 36 + 6.4 * len(name(who))
    for i, (title, inner) in enumerate(drawn):
        x, y = GAP + i % 2 * (PANEL_W + GAP), TOP + i // 2 * (PANEL_H + GAP)
        out.append(f'<g transform="translate({x} {y})">')
        out.append(f'<rect width="{PANEL_W}" height="{PANEL_H}" rx="6" fill="#fcfcfc" stroke="#ddd"/>')
        out.append(text(14, 24, title, font_size=14, font_weight=600, fill="#222"))
        out += inner + ["</g>"]
    return "\n".join(out + ["</svg>", ""])


def main():
    results, where, *docs = sys.argv[1:]
    figures, about = read(results)
    measured, plot = markdown(figures, about), svg(figures, about)
    (pathlib.Path(where) / "benchmarks.md").write_text(measured, encoding="utf-8")
    (pathlib.Path(where) / "benchmarks.svg").write_text(plot, encoding="utf-8")
    print(measured)
    for d in docs:
        page = pathlib.Path(d) / "benchmarks.md"
        marks = r"(<!-- measured -->\n).*(<!-- end of measured -->)"
        page.write_text(re.sub(marks, lambda m: f"{m[1]}\n{measured}\n{m[2]}", page.read_text("utf-8"), flags=re.S), "utf-8")
        (pathlib.Path(d) / "benchmarks.svg").write_text(plot, encoding="utf-8")


main()
