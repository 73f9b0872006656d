from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUP = "Librarians"


def create_group(apps: Apps, schema_editor):
    """Librarians keep the catalogue and the loans."""
    database = schema_editor.connection.alias
    # Django makes permissions after the last migration; this one needs them now.
    config = apps.get_app_config("catalog")
    config.models_module = True
    create_permissions(config, using=database, apps=apps, verbosity=0)
    config.models_module = None

    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    group, _ = Group.objects.using(database).get_or_create(name=GROUP)
    group.permissions.add(
        *Permission.objects.using(database).filter(content_type__app_label="catalog")
    )


def delete_group(apps: Apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    Group.objects.using(schema_editor.connection.alias).filter(name=GROUP).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(create_group, delete_group)]
