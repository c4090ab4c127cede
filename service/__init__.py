"""The gateway: HTTP in, answer out. No torch, no GPU."""
