"""Official documents: what they say is data, how they look follows the rules of form."""
