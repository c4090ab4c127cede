"""Abacus: the small language model that ships with Conclave, and all that made it."""
