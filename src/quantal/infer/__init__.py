"""What do they want, and how precisely do they choose? Estimates from observed play."""
