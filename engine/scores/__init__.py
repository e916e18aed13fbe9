"""From masks to counts, from counts to Dice. NumPy only."""
