"""What a person sees. Each module but `common` is a page script that the router runs."""
