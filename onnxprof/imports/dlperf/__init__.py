"""The tables that rai-project/dlperf published in 2020, imported as runs of lower bounds."""
