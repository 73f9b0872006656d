# On the server: the same script, at what was live before.
set -eu
cd ~/site
git reset -q --hard 'HEAD@{1}'
~/venv/bin/pip install -q -r app/requirements.txt
cd app
set -a && . ~/env && set +a
~/venv/bin/python manage.py migrate --noinput
~/venv/bin/python manage.py collectstatic --noinput
rsync -a staticfiles/ ~/static/
sudo systemctl restart tutorial
