"""Where a W&B login may be, and where it is not."""

import pytest

from peftlab.tracker.login import has_login

ENTRY = "machine {}\n  login user\n  password 0123\n"


def test_none(clean_env):
    assert not has_login()


@pytest.mark.parametrize("name", ["WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"])
def test_environment(clean_env, monkeypatch, name):
    monkeypatch.setenv(name, "")
    assert not has_login()
    monkeypatch.setenv(name, "secret")
    assert has_login()


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_netrc_of_the_public_server(clean_env, monkeypatch, name):
    (clean_env / name).write_text(ENTRY.format("github.com"))
    assert not has_login()
    (clean_env / name).write_text(ENTRY.format("github.com") + ENTRY.format("api.wandb.ai"))
    assert has_login()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.lab.example:8080")
    assert not has_login()


def test_netrc_of_another_place_and_server(clean_env, monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "keys"))
    (tmp_path / "keys").write_text(ENTRY.format("wandb.lab.example"))
    assert not has_login()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.lab.example:8080")
    assert has_login()


def test_server_that_wandb_login_has_written(clean_env, monkeypatch, tmp_path):
    (clean_env / ".netrc").write_text(ENTRY.format("wandb.lab.example"))
    settings = clean_env / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text("[default]\nbase_url = https://wandb.lab.example\n")
    assert has_login()
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "elsewhere"))
    assert not has_login()


@pytest.mark.parametrize("damage", ["machine", "machine api.wandb.ai login a password b so\n", "\x00\xff"])
def test_damaged_files_are_no_login(clean_env, damage):
    (clean_env / ".netrc").write_text(damage)
    settings = clean_env / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(damage)
    assert not has_login()
