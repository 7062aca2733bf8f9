"""Resources in actors of a Ray cluster. Needs the extra ``ray``."""
