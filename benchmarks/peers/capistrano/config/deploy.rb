# A Django site the way Capistrano's users have it: releases beside each other, one shared venv.
set :application, "capistrano"
set :repo_url, "/srv/git/capistrano.git"
set :branch, "main"
set :deploy_to, "/opt/capistrano/site"
set :keep_releases, 5
set :venv, -> { shared_path.join("venv") }

namespace :django do
  task :venv do
    on roles(:app) do
      execute :python3, "-m", "venv", fetch(:venv) unless test("[ -d #{fetch(:venv)} ]")
      execute "#{fetch(:venv)}/bin/pip", "install", "-q", "-r", release_path.join("app/requirements.txt")
    end
  end

  task :prepare do
    on roles(:app) do
      within release_path.join("app") do
        manage = "set -a && . ~/env && set +a && cd #{release_path}/app && #{fetch(:venv)}/bin/python manage.py"
        execute "#{manage} migrate --noinput"
        execute "#{manage} collectstatic --noinput"
        execute :rsync, "-a", release_path.join("app/staticfiles/"), "/opt/capistrano/static/"
      end
    end
  end

  task :restart do
    on(roles(:app)) { execute :sudo, "systemctl", "restart", "capistrano" }
  end
end

after "deploy:updated", "django:venv"
after "django:venv", "django:prepare"
after "deploy:published", "django:restart"
after "deploy:finishing_rollback", "django:restart"
