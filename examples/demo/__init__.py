"""The main job, end to end, on one host."""
