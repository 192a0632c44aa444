"""What a finding is, and the forms it is written in."""
