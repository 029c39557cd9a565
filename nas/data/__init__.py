"""Images: where they come from, what is asked of them, and how they are split."""
