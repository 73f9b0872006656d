"""The audits: what the strictest references say of a provisioned host, checked from outside.

One module a reference. Each reads, and leaves the droplet as it was; `invoke audit` runs them.
"""
