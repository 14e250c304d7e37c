"""What a graph demands of its free axes: sizes that nodes want equal, solved for single axes."""
