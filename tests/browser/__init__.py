"""A package, so that its conftest does not collide with another."""
