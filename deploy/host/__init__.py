"""The release tool: what runs on the droplet, as the deploy user. Standard library only.

The controller ships this folder to ``/srv/<app>/tools/<digest>/`` and talks to it in lines of
JSON (:mod:`deploy.host.main`); a sysadmin on the droplet runs the same code as
``slipway APP COMMAND``.
"""
