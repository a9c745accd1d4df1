"""The few tools worth showing."""
