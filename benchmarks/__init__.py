"""Side-by-side measurements, one command each, printing ratios. Never part of the tests.

`python -m benchmarks.train`, `.import_`, `.pages`, `.scale`; with `--json` the last
line is one JSON object.
"""
