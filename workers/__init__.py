"""The sampling processes. They never import `service`."""
