"""Import speed and memory on generated 512² pairs, in a process of its own.

python -m benchmarks.import_ [--pairs 300] [--json]
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from engine.datasets.importer import import_dataset
from engine.datasets.toy import write_toy_zip
from engine.settings import Settings
from engine.workbench import open_workbench


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "pairs.zip"
        write_toy_zip(archive, num_samples=options.pairs, size_px=512)
        workbench = open_workbench(Settings.for_home(Path(folder) / "home"))
        started_at = time.perf_counter()
        import_dataset(workbench, archive, name="benchmark", actor="benchmark")
        pairs_per_second = options.pairs / (time.perf_counter() - started_at)
        workbench.close()
    # Linux reports KiB; writing the archive before the import is part of the peak.
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"{pairs_per_second:.0f} pairs/s, peak {peak_mb:.0f} MB")
    if options.json:
        print(json.dumps({"pairs_per_second": pairs_per_second, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
