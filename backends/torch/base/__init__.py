"""What operators in torch are made of."""
