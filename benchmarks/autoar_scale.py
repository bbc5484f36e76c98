"""Memory and time of Auto-AR on a data set of the size of Traffic, and how the cost grows.

Measured on synthetic data (daily waves plus an auto-regression of first order, another one in every channel):

* peak memory of the process (``ru_maxrss``) and seconds of one fit of all lookbacks, no warm-up, on 862 channels of
  17,544 rows; the memory that the imports and the data themselves take is printed beside it;
* seconds against the number of rows and against the number of channels (medians of three), and the slope of the
  logarithms: 1 is linear, less where the factorisation, whose cost is fixed, still counts.

    python benchmarks/autoar_scale.py [--device cuda] [--channels 862] [--rows 17544]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from _common import add_common_arguments, measure, parse
from scipy.signal import lfilter

from dasha.autoar import AutoAR
from dasha.bench.environment import environment
from dasha.bench.output import show, write_json

SHARES = (0.125, 0.25, 0.5, 1.0)


def peak_megabytes() -> float:
    """Largest resident set so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def synthetic(rows: int, channels: int, seed: int = 0) -> np.ndarray:
    """Shape ``(rows, channels)``; made channel by channel, so that nothing else is ever held."""
    rng = np.random.default_rng(seed)
    day = 2 * np.pi * np.arange(rows) / 24
    values = np.empty((rows, channels))
    for channel in range(channels):
        noise = lfilter([1.0], [1.0, -0.9], rng.standard_normal(rows))
        values[:, channel] = 50 + 10 * np.sin(day + rng.uniform(0, 2 * np.pi)) + noise
    return values


def fit(values: np.ndarray, arguments: argparse.Namespace) -> AutoAR:
    return AutoAR(max_lookback=arguments.max_lookback, device=arguments.device).fit(values)


def slope(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Of the straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def growth(values: np.ndarray, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Seconds against rows (on a quarter of the channels) and against channels (on a quarter of the rows)."""
    rows, channels = values.shape
    some = max(1, channels // 4)
    row_counts = [max(2 * arguments.max_lookback, int(share * rows)) for share in SHARES]
    channel_counts = [max(1, int(share * channels)) for share in SHARES]
    cases = {
        "rows": (row_counts, [values[:count, :some] for count in row_counts]),
        "channels": (
            channel_counts,
            [values[: max(rows // 4, 2 * arguments.max_lookback), :n] for n in channel_counts],
        ),
    }
    result = {}
    for name, (sizes, parts) in cases.items():
        seconds = [measure(lambda part=part: fit(part, arguments), repeats=3) for part in parts]
        result[name] = {"sizes": sizes, "seconds": seconds, "slope": slope(sizes, seconds)}
    return result


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--channels", type=int, default=862)
    parser.add_argument("--rows", type=int, default=17544)
    parser.add_argument("--max-lookback", type=int, default=512)
    parser.add_argument("--skip-growth", action="store_true", help="one fit only")
    arguments = parse(parser, argv)
    imported = peak_megabytes()
    values = synthetic(arguments.rows, arguments.channels)
    with_data = peak_megabytes()
    start = time.perf_counter()
    model = fit(values, arguments)
    seconds = time.perf_counter() - start
    peak = peak_megabytes()
    gpu_peak = torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else 0.0
    grown = {} if arguments.skip_growth else growth(values, arguments)
    show(
        f"Auto-AR on {arguments.channels} channels × {arguments.rows} rows, lookbacks 0 … {arguments.max_lookback}",
        ("what", "value"),
        [
            ["seconds of one fit", f"{seconds:.1f}"],
            ["chosen lookback, differencing", f"{model.lookback_}, {model.diff_order_}"],
            ["peak memory of the process, MB", f"{peak:.0f}"],
            ["  of this, after the imports, MB", f"{imported:.0f}"],
            ["  of this, with the data, MB", f"{with_data:.0f}"],
            ["peak memory of the GPU, MB", f"{gpu_peak:.0f}"],
        ],
    )
    if grown:
        rows = [
            [f"{size} {name}", f"{value:.3f}", f"{entry['slope']:.2f}" if index == 0 else ""]
            for name, entry in grown.items()
            for index, (size, value) in enumerate(zip(entry["sizes"], entry["seconds"], strict=True))
        ]
        show("How the cost grows", ("size", "seconds", "slope of the logarithms"), rows)
    content = {
        "benchmark": "autoar_scale",
        "environment": environment(arguments.device),
        "channels": arguments.channels,
        "rows": arguments.rows,
        "max_lookback": arguments.max_lookback,
        "seconds": seconds,
        "lookback": model.lookback_,
        "diff_order": model.diff_order_,
        "peak_mb": peak,
        "peak_mb_after_import": imported,
        "peak_mb_with_data": with_data,
        "gpu_peak_mb": gpu_peak,
        "growth": grown,
    }
    if arguments.json:
        write_json(arguments.json, content)


if __name__ == "__main__":
    main()
