"""Reading what happened: timelines, causes, what a flow waits for, rehearsals and maps. Changes nothing."""
