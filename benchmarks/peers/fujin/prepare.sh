# What `fujin server bootstrap` would make, but for Caddy and what it fetches: Nginx is in front here.
# Variables: APP.
set -eu
chmod 755 /usr/local/bin/uv
install -d -o fujin -g fujin /home/fujin/.local/bin /opt/fujin
ln -sfn /usr/local/bin/uv /home/fujin/.local/bin/uv
version=$(python3 -c 'import platform; print(platform.python_version())')
managed=/opt/fujin/.python/cpython-$version-linux-x86_64-gnu
install -d "$managed/bin" "$managed/lib"
ln -sfn /usr/bin/python3.13 "$managed/bin/python3.13"
ln -sfn python3.13 "$managed/bin/python3"
chown -R fujin: /opt/fujin
runuser -u postgres -- psql -qtc "SELECT 1 FROM pg_roles WHERE rolname = '$APP'" | grep -q 1 ||
  runuser -u postgres -- psql -qc "CREATE ROLE \"$APP\" LOGIN"
