"""Everything of the workbench that is not a page. Start at README.md; `python -m engine --help`."""
