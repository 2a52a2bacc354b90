"""The paper's own figures and settings."""
