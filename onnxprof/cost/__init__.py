"""What layers cost by their shapes: operations, bytes and parameters, as numbers or expressions"""
