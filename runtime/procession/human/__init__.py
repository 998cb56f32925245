"""Tasks for people: asked by flows, answered with who and when, with deadlines and escalations."""
