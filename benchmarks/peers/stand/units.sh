# Gunicorn as its own documentation sets it up: a socket, and a service that systemd tells of.
# Variables: NAME, CODE (the folder with manage.py), VENV.
set -eu
cat >"/etc/systemd/system/$NAME.socket" <<TEXT
[Socket]
ListenStream=/run/$NAME.sock
SocketUser=www-data
[Install]
WantedBy=sockets.target
TEXT
cat >"/etc/systemd/system/$NAME.service" <<TEXT
[Unit]
Requires=$NAME.socket
After=network.target
[Service]
Type=notify
User=$NAME
EnvironmentFile=/opt/$NAME/env
WorkingDirectory=$CODE
ExecStart=$VENV/bin/gunicorn --workers 2 locallibrary.wsgi
ExecReload=/bin/kill -s HUP \$MAINPID
KillMode=mixed
TimeoutStopSec=5
PrivateTmp=true
[Install]
WantedBy=multi-user.target
TEXT
systemctl daemon-reload
systemctl enable -q "$NAME.socket"
