# The site of the tutorial's stand three times more, by the three ways of going over to new code that
# one meets: restart, restart behind a socket of systemd's, HUP. Variables: HOST, CERTIFICATE.
set -eu
code=/opt/tutorial/site/app
gunicorn="/opt/tutorial/venv/bin/gunicorn --workers 2 --umask 0"

unit() {
  cat >"/etc/systemd/system/bench-$1.service" <<TEXT
[Service]
Type=notify
User=tutorial
EnvironmentFile=/opt/tutorial/env
WorkingDirectory=$code
RuntimeDirectory=bench-$1
ExecStart=$2
ExecReload=/bin/kill -s HUP \$MAINPID
KillMode=mixed
PrivateTmp=true
TEXT
}

unit restart "$gunicorn --bind unix:/run/bench-restart/web.sock locallibrary.wsgi"
unit socket "$gunicorn locallibrary.wsgi"
unit hup "$gunicorn --bind unix:/run/bench-hup/web.sock locallibrary.wsgi"
cat >/etc/systemd/system/bench-socket.socket <<'TEXT'
[Socket]
ListenStream=/run/bench-socket.sock
SocketUser=www-data
TEXT
server() {
  cat <<TEXT
upstream bench_$1 { server unix:$3; }
server {
    listen $2 ssl;
    server_name $HOST;
    ssl_certificate $CERTIFICATE/fullchain.pem;
    ssl_certificate_key $CERTIFICATE/privkey.pem;
    location / {
        proxy_pass http://bench_$1;
        proxy_set_header Host \$host;
        proxy_set_header X-Forwarded-Proto https;
        add_header X-Release $1;
    }
}
TEXT
}
{
  server restart 8451 /run/bench-restart/web.sock
  server socket 8452 /run/bench-socket.sock
  server hup 8453 /run/bench-hup/web.sock
} >/etc/nginx/conf.d/bench-switch.conf
systemctl daemon-reload
# A socket does not start again while its service runs.
systemctl stop bench-socket.socket bench-socket.service
systemctl restart bench-restart.service bench-hup.service bench-socket.socket bench-socket.service
nginx -qt && systemctl reload nginx
# Gone with the next run of site.yml.
nft insert rule inet slipway input tcp dport 8451-8453 accept
