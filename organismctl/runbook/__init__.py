"""Runbooks: Markdown that reads well on its own, proven by ``runbook check`` and run step by step by ``runbook run``.

A file begins with front matter (title, the finding codes it answers, severity, roles, how long it takes). A section
whose first paragraph begins with ``When:`` is shown when live findings say so; fenced ``probe`` blocks look, fenced
``run`` blocks act. Both hold command lines of this very tool, which run without a shell. There is no other language:
after ``probe`` may stand for how long it is repeated (``probe 60s``: until it is well, or its section's condition is
gone), after ``run`` a code of the section's condition (``run NODE-STOPPED``: only for those whom that finding names).
"""
