"""HTTP only: routes, error rendering, request metrics."""
