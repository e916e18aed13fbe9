"""Datasets: reading what people upload, pairing it, and keeping it in one canonical form.

Import law: `archive`, `pairing`, `decode`, `masks` and `report` know nothing of the store's files;
`importer` joins them. No torch and no Streamlit anywhere in here.
"""
