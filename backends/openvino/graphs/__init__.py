"""OpenVINO's executed graphs, and the layers of the original that their nodes compute."""
