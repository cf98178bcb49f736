"""The record: what was found as a page of Markdown, for `benches/RESULTS.md`."""

from __future__ import annotations

from results import Results, Row

REHEARSAL_NOTE = (
    "**Rehearsal, not a measurement**: no GPU was measured. The numbers show that the script runs, and nothing else."
)
HOW = (
    "Times are from token ids on the host to logits on the host; `on device` is by events: around the model alone for "
    "PyTorch, for Lockstep around its captured run, in which its copies are. p50 as lowest to highest of the rounds; p95 and "
    "p99 of the worst. TF32 and reduced-precision sums are off on all sides."
)
PADDED = (
    "A time is of a pass over all texts. Lockstep packs them as they come; peers pad each batch of 32 to its longest, once "
    "as they come, once sorted by length."
)


def table(titles: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; a cell's bars are escaped."""
    lines = [titles, ["---"] * len(titles), *rows]
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def milliseconds(value: float) -> str:
    """A time with three digits that count."""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def grouped(rows: dict[str, Row]) -> dict[tuple[str, str, str], list[Row]]:
    """The rounds of each dtype, place and contender, in that order; within each as they came."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows.values():
        groups.setdefault((row["dtype"], row["place"], row["contender"]), []).append(row)
    seen = [list(dict.fromkeys(key[part] for key in groups)) for part in range(3)]

    def place(key: tuple[str, str, str]) -> list[int]:
        return [order.index(part) for order, part in zip(seen, key)]

    return {key: groups[key] for key in sorted(groups, key=place)}


def timed_cells(rounds: list[Row]) -> list[str]:
    """One line's cells: end to end, its tails, on the device, sequences a second, share of the roofline; or the reason."""
    measured = [row for row in rounds if row["status"] == "measured"]
    if not measured:
        return [f"not run ({rounds[0]['detail']})", "", "", "", ""]

    def medians(key: str) -> str:
        values = [row[key]["p50"] for row in measured if key in row]
        return f"{milliseconds(min(values))} to {milliseconds(max(values))}" if values else "-"

    tails = [max(row["end_to_end_ms"][name] for row in measured) for name in ("p95", "p99")]
    best = max(row["sequences_per_second"] for row in measured)
    shares = [row["share_of_roofline"] for row in measured if "share_of_roofline" in row]
    return [
        medians("end_to_end_ms"),
        " / ".join(map(milliseconds, tails)),
        medians("on_device_ms"),
        f"{best:,.0f}",
        f"{max(shares):.0%}" if shares else "-",
    ]


def timed_table(rows: dict[str, Row], place: str) -> str:
    """The table of a phase that times contenders."""
    titles = ["dtype", place, "contender", "ms end to end", "p95 / p99", "ms on device", "sequences/s", "of roofline"]
    lines = [[dtype, at, name, *timed_cells(rounds)] for (dtype, at, name), rounds in grouped(rows).items()]
    return table(titles, lines)


def rates_lines(rows: dict[str, Row]) -> str:
    """The rates that the roofline is made of, the last of each dtype."""
    found = {row["dtype"]: row["rates"] for row in rows.values() if "rates" in row}
    lines = [
        f"- {dtype}: copies {rates['copy_gb_per_second']:,.0f} GB/s, products {rates['product_gflops'] / 1e3:,.1f} TFLOP/s\n"
        for dtype, rates in found.items()
    ]
    return "Rates measured on the device, which the roofline is made of:\n\n" + "".join(lines) + "\n" if lines else ""


def plain_table(rows: dict[str, Row]) -> str:
    """The table of a phase whose rows are sentences."""
    return table(["what", "", "found"], [[key, row["status"], row.get("detail", "")] for key, row in rows.items()])


NOTES = {"speed": HOW, "mix": PADDED}
TITLES = {
    "discovery": "What was here",
    "bits": "The same bits in every run, batch and order",
    "correctness": "Correctness",
    "speed": "Full batches",
    "mix": "A skewed mix of lengths",
    "footprint": "Cold start and memory",
}


def page(results: Results, date: str) -> str:
    """The whole record."""
    device = results.data["device"]
    label = " (rehearsal, not a measurement)" if results.is_rehearsal else ""
    parts = [f"## {date}: {device['name']}{label}\n\n"]
    if results.is_rehearsal:
        parts.append(REHEARSAL_NOTE + "\n\n")
    parts.append(f"Device `{device['id']}`, {device['driver'] or 'no driver'}.\n\n")
    for phase, title in TITLES.items():
        parts.append(f"### {title}{label}\n\n")
        if not results.calls(phase):
            parts.append("not run (no call asked for it)\n\n")
            continue
        if phase in NOTES:
            parts.append(NOTES[phase] + "\n\n")
        for call in results.calls(phase):
            parts.append(f"`{call['command']}`, {call['started']}.")
            if call["status"] != "done":
                parts.append(f" **{call['status']}**: {call['reason']}; what stands below was measured before.")
            parts.append("\n\n")
            if phase in NOTES:
                place = "batch x tokens" if phase == "speed" else "texts"
                parts += [rates_lines(call["rows"]), timed_table(call["rows"], place)]
            else:
                parts.append(plain_table(call["rows"]))
            parts.append("\n")
    return "".join(parts)
