"""What a person looks at in a terminal or a picture."""
