"""The queue, the worker, and the process of each job. Joins training to the store."""
