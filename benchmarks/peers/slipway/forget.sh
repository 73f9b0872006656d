# The site as it was provisioned, before its first deploy. Variables: APP.
systemctl stop "$APP-web@*.service" "$APP-web@*.socket"
cd "/srv/$APP" || exit 1
rm -rf current deploys.jsonl tool restore-points releases/* venvs/* venvs/.[!.]* objects/* static/* tools/*
rm -f "/etc/$APP/releases/"*.env
