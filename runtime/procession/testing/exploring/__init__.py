"""The inside of `explore`: the space of one flow, what is looked for in it, and the report."""
