"""Texts scored, embedded or judged as premises by this process with torch, from a local model folder.

Imported only where it is asked for.
"""
