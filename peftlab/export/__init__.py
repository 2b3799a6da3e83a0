"""peftlab-export: a finished run in a form that other programs read."""
