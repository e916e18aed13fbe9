"""What each command of the command line does. Each returns the exit status."""
