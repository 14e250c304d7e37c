"""Machines for tests of fleets: an sshd of their own, a Ray of fake nodes, a backend that sleeps."""
