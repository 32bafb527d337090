"""What runs blocks: this process, or several."""
