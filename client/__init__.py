"""How other programs speak to the owner service: typed HTTP client, embedded service, and one file for the host."""
