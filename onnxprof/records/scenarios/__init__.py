"""A model under load, as frozen records: what was asked, what LoadGen answered, and the run."""
