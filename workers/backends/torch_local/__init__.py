"""Completions drawn by this process with torch, from a local model folder. Imported only where it is asked for."""
