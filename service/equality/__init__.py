"""Whether two expressions are equal, worked out by Math-Verify in processes that may be killed."""
