"""Models to exports."""
