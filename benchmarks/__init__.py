"""Measurements of this project and of what a user would pick instead, side by side."""
