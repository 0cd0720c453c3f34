"""Medians, ratios, and Markdown."""

import datetime
import json
import statistics

from .machine import TOP


def median(values):
    return statistics.median(values) if values else None


def ratio(rounds, rivals, key):
    """The median of the rounds' ratios: what slows a whole round down is in both of its numbers."""
    pairs = [(one[key], other[key]) for one, other in zip(rounds, rivals)]
    return median([one / other for one, other in pairs if other])


def number(value, digits=1):
    if value is None:
        return "–"
    return f"{value:,.{digits}f}" if digits else f"{value:,.0f}"


def markdown(header, rows):
    """Columns of one width, numbers to the right."""
    rows = [list(map(str, row)) for row in rows]
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]
    is_number = [all(not row[index][:1].isalpha() for row in rows) for index in range(len(header))]

    def line(cells):
        return "| " + " | ".join(
            cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(cells, widths, is_number)) + " |"

    rule = "|" + "|".join("-" * (width + 1) + (":" if right else "-") for width, right in zip(widths, is_number)) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def bar(value, largest, width=30):
    return "█" * max(1, round(width * value / largest)) if largest and value else ""


def write(kind, results):
    """Keeps all numbers of a run; the path."""
    directory = TOP / "benchmarks/results"
    directory.mkdir(exist_ok=True)
    path = directory / f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}-{kind}.json"
    path.write_text(json.dumps(results, indent=1))
    return path
