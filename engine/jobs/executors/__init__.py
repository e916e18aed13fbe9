"""Where a job's process is started."""
