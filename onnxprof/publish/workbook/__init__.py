"""Tables as workbooks (extra `xlsx`): cells are texts or numbers, never formulas."""
