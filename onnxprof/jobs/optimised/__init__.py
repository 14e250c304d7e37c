"""The graph that a runtime executes, written for a job."""
