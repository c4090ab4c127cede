"""The contract of both processes: messages, keys, queue. The only part of `workers` that `service` imports."""
