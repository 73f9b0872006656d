"""The doctor: what is fine, and what hinders a project or its droplet, line by line.

It asks what deploy/ and audits/ know, and neither of them asks the doctor.
"""
