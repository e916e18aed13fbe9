"""Datasets: reading what people upload, pairing it, and keeping it in one canonical form.

    archive → pairing, masks (what belongs together, what values mean) → inspection → plan
    plan → sample_writer → quality, splits → assembly → report → the dataset
    versions: a corrected dataset; cache: a dataset at the network's size

Import law: what stands left knows nothing of what stands right, and only `importer` and `versions`
write to the store. No torch and no Streamlit anywhere in here.
"""
