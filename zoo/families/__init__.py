"""The networks by family: a declarative entry and a source each."""
