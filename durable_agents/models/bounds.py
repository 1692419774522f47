"""What bounds a run that names no bounds of its own: the defaults of all flows that ask models.

Each flow ends by its deadline and by its rounds, whatever its budget. A round is one model call,
asked again twice at most when its answer is unusable and up to eight times when the model stays
away; an answer has at most the tokens of the agent's limits. A default once released never
changes: it is left out of what history records.
"""

ONE_CALL_S = 600.0
"""The deadline of a flow with one model call, in seconds."""

SEVERAL_CALLS_S = 3600.0
"""The deadline of a flow with several model calls, in seconds."""

ROUNDS, MOST_ROUNDS = 5, 50
"""Rounds of think, act, observe that answer a person who waits."""

MOST_ROUNDS_OF_A_TASK = 10_000
"""Rounds of an agent at work on a task, at most; the default is that of the others."""

REFINEMENTS, MOST_REFINEMENTS = 3, 20
"""How often a report is reviewed and refined."""

REVISIONS, MOST_REVISIONS = 3, 100
"""How often a rejected text is revised."""
