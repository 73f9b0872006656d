# What every peer finds on the droplet, as root: a user that logs in by key and may use sudo (its home
# is in /opt, as no program runs from /home here), a database, a folder of wheels, Python's venv, a git
# server's copy of the code, and Nginx in front.
# Variables: NAME, PORT (Nginx's), UPSTREAM, KEY, WHEELS.
set -eu
export DEBIAN_FRONTEND=noninteractive
dpkg -s git python3-pip python3-venv curl >/dev/null 2>&1 || {
  apt-get -q update && apt-get -q -y install --no-install-recommends git python3-pip python3-venv curl
}
id -u "$NAME" >/dev/null 2>&1 || useradd --create-home --home-dir "/opt/$NAME" --groups sudo --shell /bin/bash "$NAME"
chmod 755 "/opt/$NAME"
install -d -m 700 -o "$NAME" -g "$NAME" "/opt/$NAME/.ssh"
echo "$KEY" >"/opt/$NAME/.ssh/authorized_keys"
chown "$NAME:" "/opt/$NAME/.ssh/authorized_keys"
echo "$NAME ALL=(ALL) NOPASSWD: ALL" >"/etc/sudoers.d/bench-$NAME"
echo "AllowUsers $NAME" >"/etc/ssh/sshd_config.d/bench-$NAME.conf"
systemctl reload ssh

runuser -u postgres -- psql -qtc "SELECT 1 FROM pg_roles WHERE rolname = '$NAME'" | grep -q 1 ||
  runuser -u postgres -- psql -qc "CREATE ROLE \"$NAME\" LOGIN"
runuser -u postgres -- psql -qtc "SELECT 1 FROM pg_database WHERE datname = '$NAME'" | grep -q 1 ||
  runuser -u postgres -- createdb -O "$NAME" "$NAME"

cat >"/opt/$NAME/env" <<TEXT
DATABASE_URL=postgres:///$NAME
DJANGO_SECRET_KEY=only-for-measuring-$(head -c 40 /dev/urandom | base64 -w 0)
DJANGO_ALLOWED_HOSTS=*
TEXT
chown "$NAME:" "/opt/$NAME/env"
# No index is asked: all packages lie here.
printf '[global]\nno-index = true\nfind-links = %s\ndisable-pip-version-check = true\n' "$WHEELS" >/etc/pip.conf
mkdir -p /etc/uv
printf '[pip]\nno-index = true\nfind-links = ["%s"]\n' "$WHEELS" >/etc/uv/uv.toml

install -d -m 755 /srv/git
[ -d "/srv/git/$NAME.git" ] || git init -q --bare --initial-branch=main "/srv/git/$NAME.git"
chown -R "$NAME:" "/srv/git/$NAME.git"

cat >"/etc/nginx/conf.d/bench-$NAME.conf" <<TEXT
upstream bench_$NAME { server $UPSTREAM; }
server {
    listen $PORT;
    location /static/ { alias /opt/$NAME/static/; }
    location / {
        proxy_pass http://bench_$NAME;
        proxy_set_header Host \$host;
        proxy_set_header X-Forwarded-Proto https;
    }
}
TEXT
nginx -qt && systemctl reload nginx
