"""Generated descriptions: openapi.json (public) and wire.schema.json (between the processes)."""
