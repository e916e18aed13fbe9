"""The database: schema, migrations, and one module per noun. The only place that speaks SQL.

Functions take the `Database` first; those that change something take the acting user as `actor`.
They return frozen records, never rows.
"""
