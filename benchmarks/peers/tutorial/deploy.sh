# On the server, as its user: the deploy script of the usual tutorial.
set -eu
[ -d ~/site ] || git clone -q /srv/git/tutorial.git ~/site
cd ~/site
git pull -q
[ -d ~/venv ] || python3 -m venv ~/venv
~/venv/bin/pip install -q -r app/requirements.txt
cd app
set -a && . ~/env && set +a
~/venv/bin/python manage.py migrate --noinput
~/venv/bin/python manage.py collectstatic --noinput
rsync -a staticfiles/ ~/static/
sudo systemctl restart tutorial
