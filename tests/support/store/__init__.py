"""What tests of stored runs share."""
