#!/usr/bin/env python3
"""Draws the results of bench/compare.py as one HTML page without outside parts.

    bench/report/report.py RESULTS.jsonl ["What was measured, and where"] > report.html

For each load and store a bar per client (median; the line spans from the least to the most of the turns) and the
ratio of medians of the last client to the first; then resident memory over the run.
"""
import collections
import html
import json
import statistics
import sys

COLOURS = ["#9aa5b1", "#2f7d4f", "#b5651d", "#4063a8"]
WIDTH = 420


def load(path):
    results, memory, clients = collections.OrderedDict(), collections.OrderedDict(), []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["client"] not in clients:
                clients.append(record["client"])
            if record["what"] == "resident memory":
                memory.setdefault(record["store"], {}).setdefault(record["client"], []).append(record["value"])
                continue
            key = (record["store"], record["what"], record["unit"])
            results.setdefault(key, {}).setdefault(record["client"], []).append(record["value"])
    return results, memory, clients


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"


def bars(values, clients):
    top = max((max(v) for v in values.values()), default=1) or 1
    rows = []
    for row, client in enumerate(clients):
        turns = values.get(client)
        if not turns:
            continue
        y, scale = row * 20, (WIDTH - 130) / top
        median = statistics.median(turns)
        rows.append(f'<rect x="0" y="{y + 3}" width="{median * scale:.1f}" height="13" '
                    f'fill="{COLOURS[clients.index(client) % len(COLOURS)]}"/>'
                    f'<line x1="{min(turns) * scale:.1f}" x2="{max(turns) * scale:.1f}" y1="{y + 9}" y2="{y + 9}" '
                    f'stroke="#222" stroke-width="1"/>'
                    f'<text x="{max(turns) * scale + 6:.1f}" y="{y + 14}">{number(median)}</text>')
    return f'<svg width="{WIDTH}" height="{len(clients) * 20 + 2}">{"".join(rows)}</svg>'


def ratio(values, clients):
    if len(clients) < 2 or clients[0] not in values or clients[-1] not in values:
        return ""
    first, last = statistics.median(values[clients[0]]), statistics.median(values[clients[-1]])
    return f"{last / first:.2f}×" if first else ""


def memory_plot(runs, clients):
    width, height = 900, 220
    end = max((s[-1][0] for turns in runs.values() for s in turns if s), default=1)
    top = max((v for turns in runs.values() for s in turns for _, v in s), default=1) * 1.1
    lines = []
    for client, turns in runs.items():
        colour = COLOURS[clients.index(client) % len(COLOURS)]
        for samples in turns:
            points = " ".join(f"{40 + t / end * (width - 60):.1f},{height - 20 - v / top * (height - 40):.1f}"
                              for t, v in samples)
            lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
    marks = "".join(f'<text x="0" y="{height - 16 - top * f / top * (height - 40):.0f}">{top * f:.0f}</text>'
                    for f in (0, 0.5, 1))
    return (f'<svg width="{width}" height="{height}">{marks}{"".join(lines)}'
            f'<text x="{width - 60}" y="{height - 4}">{end:.0f} s</text></svg>')


def page(results, memory, clients, about):
    out = ["<!doctype html><meta charset='utf-8'><title>Data path, side by side</title><style>",
           "body{font:14px sans-serif;margin:2em;color:#222}td,th{padding:3px 14px 3px 0;text-align:left;vertical-align:top}",
           "svg text{font:12px sans-serif;fill:#333}.ratio{font-weight:bold}</style><h1>Data path, side by side</h1>",
           f"<p>{html.escape(about)}</p><p>"]
    for client in clients:
        out.append(f'<span style="color:{COLOURS[clients.index(client) % len(COLOURS)]}">■</span> {html.escape(client)} ')
    if len(clients) > 1:
        out.append(f" Ratio: {html.escape(clients[-1])} to {html.escape(clients[0])}, of medians.")
    out.append("</p>")
    for store in dict.fromkeys(key[0] for key in results):
        out.append(f"<h2>Store: {html.escape(store)}</h2><table>")
        for (of, what, unit), values in results.items():
            if of == store:
                out.append(f"<tr><td>{html.escape(what)}<td>{html.escape(unit)}<td>{bars(values, clients)}"
                           f"<td class='ratio'>{ratio(values, clients)}")
        out.append("</table>")
        if store in memory:
            out.append(f"<h3>Resident memory of the mount, MiB</h3>{memory_plot(memory[store], clients)}")
    return "\n".join(out)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print(page(*load(sys.argv[1]), sys.argv[2] if len(sys.argv) == 3 else ""))
