"""How others deploy the same site to the same droplet."""
