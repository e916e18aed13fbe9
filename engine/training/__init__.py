"""The training loop and its parts. Knows nothing of the database: it emits `engine.events`."""
