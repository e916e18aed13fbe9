"""The WORKBENCH_* environment."""

import os
from dataclasses import fields
from pathlib import Path

import pytest

from engine.errors import BadSetting, Refused
from engine.settings import Settings
from engine.workbench import open_workbench


def test_without_variables_the_home_is_below_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({})
    assert settings.home == tmp_path.resolve() / "workbench"
    assert settings.database_url == f"sqlite:///{settings.home}/workbench.db"
    assert settings.weights == settings.home / "weights"
    assert settings.worker == "local"
    assert settings.worker_idle_seconds == 600
    assert settings.upload_quota_gib == 50
    assert settings.min_free_gib == 2
    assert settings.import_roots == ()
    assert settings.retries == 3
    assert (settings.gpu_jobs, settings.cpu_jobs, settings.light_jobs) == (1, 1, 2)
    assert (settings.silence_seconds, settings.hang_seconds) == (20, 900)
    assert settings.keep_states_days == 30
    # Nobody is written to before somebody says so.
    assert (settings.url, settings.webhook_url, settings.smtp_url) == ("", "", "")
    assert (settings.mail_from, settings.mail_to) == ("", ())


def test_every_variable_is_read():
    settings = Settings.from_environment(
        {
            "WORKBENCH_HOME": "/srv/../srv/lab",
            "WORKBENCH_DATABASE_URL": "postgresql+psycopg://lab@db/lab",
            "WORKBENCH_WEIGHTS": "/srv/../mnt/encoders",
            "WORKBENCH_WORKER": "external",
            "WORKBENCH_WORKER_IDLE_SECONDS": "2.5",
            "WORKBENCH_UPLOAD_QUOTA_GIB": "0.5",
            "WORKBENCH_MIN_FREE_GIB": "0",
            "WORKBENCH_IMPORT_ROOTS": os.pathsep.join(["/srv/data", "", "/srv/../mnt", "/mnt"]),
            "WORKBENCH_RETRIES": "0",
            "WORKBENCH_GPU_JOBS": "2",
            "WORKBENCH_CPU_JOBS": "3",
            "WORKBENCH_LIGHT_JOBS": "4",
            "WORKBENCH_SILENCE_SECONDS": "7.5",
            "WORKBENCH_HANG_SECONDS": "60",
            "WORKBENCH_KEEP_STATES_DAYS": "0",
            "WORKBENCH_URL": "https://lab.example/workbench/",
            "WORKBENCH_WEBHOOK_URL": "https://chat.example/hook",
            "WORKBENCH_SMTP_URL": "smtps://ann:secret@mail.example:465",
            "WORKBENCH_MAIL_FROM": "Workbench <workbench@lab.example>",
            "WORKBENCH_MAIL_TO": " ann@lab.example, ,bob@lab.example,",
        }
    )
    assert settings == Settings(
        home=Path("/srv/lab"),
        database_url="postgresql+psycopg://lab@db/lab",
        weights=Path("/mnt/encoders"),
        worker="external",
        worker_idle_seconds=2.5,
        upload_quota_gib=0.5,
        min_free_gib=0,
        import_roots=(Path("/srv/data"), Path("/mnt")),
        retries=0,
        gpu_jobs=2,
        cpu_jobs=3,
        light_jobs=4,
        silence_seconds=7.5,
        hang_seconds=60,
        keep_states_days=0,
        url="https://lab.example/workbench",
        webhook_url="https://chat.example/hook",
        smtp_url="smtps://ann:secret@mail.example:465",
        mail_from="Workbench <workbench@lab.example>",
        mail_to=("ann@lab.example", "bob@lab.example"),
    )


def test_child_process_sees_the_same_settings(tmp_path):
    settings = Settings(
        home=tmp_path,
        database_url="sqlite:///x.db",
        weights=tmp_path / "a b" / "权重",
        worker="external",
        worker_idle_seconds=0.25,
        upload_quota_gib=1 / 3,
        min_free_gib=1e-6,
        import_roots=(tmp_path / "a b", tmp_path / "数据"),
        retries=9,
        gpu_jobs=2,
        cpu_jobs=3,
        light_jobs=4,
        silence_seconds=1 / 7,
        hang_seconds=1e9,
        keep_states_days=0.5,
        url="https://lab.example/实验室",
        webhook_url="https://chat.example/hook?a=1&b=%20",
        smtp_url="smtp://ann:p%40ss@mail.example:587",
        mail_from="Labor <lab@lab.example>",
        mail_to=("ann@lab.example", "bob@lab.example"),
    )
    defaults = Settings.for_home(tmp_path)
    same = [
        each.name
        for each in fields(Settings)
        if getattr(settings, each.name) == getattr(defaults, each.name)
    ]
    assert same == ["home"], "every other setting differs, so none that is not passed on is missed"
    assert Settings.from_environment(settings.to_environment()) == settings


def test_empty_variable_counts_as_not_set():
    names = Settings.for_home(Path("x")).to_environment()
    assert Settings.from_environment(dict.fromkeys(names, "")) == Settings.from_environment({})


def test_folders_below_a_users_folder_are_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings.from_environment(
        {
            "WORKBENCH_HOME": "~/lab",
            "WORKBENCH_WEIGHTS": "~/encoders",
            "WORKBENCH_IMPORT_ROOTS": "~/data",
        }
    )
    assert settings.home == tmp_path / "lab"
    assert settings.weights == tmp_path / "encoders"
    assert settings.import_roots == (tmp_path / "data",)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("WORKBENCH_WORKER", "none", "“local” or “external”"),
        ("WORKBENCH_WORKER_IDLE_SECONDS", "soon", "number of seconds"),
        ("WORKBENCH_WORKER_IDLE_SECONDS", "nan", "number of seconds"),
        ("WORKBENCH_WORKER_IDLE_SECONDS", "-1", "number of seconds"),
        ("WORKBENCH_UPLOAD_QUOTA_GIB", "50 GB", "number of GiB"),
        ("WORKBENCH_MIN_FREE_GIB", "-0.5", "number of GiB"),
        ("WORKBENCH_RETRIES", "-1", "whole number, 0 or more"),
        ("WORKBENCH_RETRIES", "some", "whole number, 0 or more"),
        ("WORKBENCH_GPU_JOBS", "0", "whole number, 1 or more"),
        ("WORKBENCH_GPU_JOBS", "1.5", "whole number, 1 or more"),
        ("WORKBENCH_CPU_JOBS", "0", "whole number, 1 or more"),
        ("WORKBENCH_CPU_JOBS", "²", "whole number, 1 or more"),
        ("WORKBENCH_LIGHT_JOBS", "0", "whole number, 1 or more"),
        ("WORKBENCH_SILENCE_SECONDS", "long", "number of seconds"),
        ("WORKBENCH_HANG_SECONDS", "-1", "number of seconds"),
        ("WORKBENCH_KEEP_STATES_DAYS", "a month", "number of days"),
    ],
)
def test_value_that_cannot_be_used_is_refused_by_name(name, value, expected):
    with pytest.raises(BadSetting) as raised:
        Settings.from_environment({name: value})
    assert name in str(raised.value)
    assert f"“{value}”" in str(raised.value)
    assert expected in str(raised.value)


def test_home_that_cannot_be_created_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="Set WORKBENCH_HOME to a folder you may write to"):
        open_workbench(Settings.for_home(tmp_path / "file" / "home"))


def test_home_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be created"):
        open_workbench(Settings.for_home(tmp_path / "file"))


@pytest.mark.parametrize("name", ["a b", "数据", "50%25", "a?b=1", "a#b", "a@b:c", "a'b"])
def test_database_lies_in_the_home_whatever_the_home_is_called(tmp_path, name):
    opened = open_workbench(Settings.for_home(tmp_path / name))
    opened.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "workbench.db").is_file()
