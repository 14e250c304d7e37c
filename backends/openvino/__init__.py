"""OpenVINO: sessions, counters, growing prefixes, and reports that came as files."""
