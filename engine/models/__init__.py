"""Networks, and what can be said of them without building them."""
