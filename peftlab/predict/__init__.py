"""peftlab-predict: what a finished run says of new images and texts."""
