-- Makes the readers of a copied library anonymous. It runs as the owner of the copy, in one
-- transaction, before anybody can see a row of it. psql reads it; the variables environment, app and
-- domain are known.

-- Who borrowed what stays, so that the copy behaves like the library. Nobody can log in: a new
-- librarian is made by `invoke manage -- createsuperuser`.
UPDATE auth_user SET
    username = 'reader' || id,
    first_name = '',
    last_name = '',
    email = 'reader' || id || '@' || :'environment' || '.invalid',
    password = '!',
    last_login = NULL;

-- Sessions hold who is logged in, and the admin's log what was written about whom.
TRUNCATE django_session, django_admin_log;
