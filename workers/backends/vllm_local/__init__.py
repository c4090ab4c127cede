"""The `vllm` backend: a local model folder, decoded by vLLM's engine."""
