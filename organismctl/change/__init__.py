"""Changes: plans, journals, the runner, and one file a procedure."""
