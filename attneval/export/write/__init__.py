"""Writing exports."""
