"""Machines for tests of fleets: an sshd, a Ray of fake nodes, a backend that sleeps."""
