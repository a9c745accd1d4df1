"""From weights to what a device runs."""
