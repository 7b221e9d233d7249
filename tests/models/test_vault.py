"""Secrets at rest are bound to their place, and their keys can be rotated."""

import os

import pytest

from webapp.models.vault import Vault, VaultError, fingerprint, last_four

OLD, NEW = os.urandom(32), os.urandom(32)


@pytest.fixture
def vault() -> Vault:
    return Vault({"1": OLD})


def test_a_sealed_secret_opens_in_its_place_and_does_not_show(vault: Vault) -> None:
    sealed = vault.seal("cal_live_secret", company_id=1, column="calcom_api_key")

    assert "secret" not in sealed
    assert vault.open(sealed, company_id=1, column="calcom_api_key") == "cal_live_secret"


@pytest.mark.parametrize(("company_id", "column"), [(2, "calcom_api_key"), (1, "retell_api_key")])
def test_a_secret_moved_to_another_row_or_column_does_not_open(
    vault: Vault, company_id: int, column: str
) -> None:
    sealed = vault.seal("x", company_id=1, column="calcom_api_key")

    with pytest.raises(VaultError):
        vault.open(sealed, company_id=company_id, column=column)


def test_the_same_secret_sealed_twice_looks_different(vault: Vault) -> None:
    assert len({vault.seal("x", company_id=1, column="c") for _ in range(3)}) == 3


def test_after_a_rotation_the_old_secret_opens_and_is_known_to_be_old() -> None:
    sealed = Vault({"1": OLD}).seal("x", company_id=1, column="c")
    rotated = Vault({"2": NEW, "1": OLD})

    assert rotated.open(sealed, company_id=1, column="c") == "x"
    assert not rotated.is_current(sealed)
    assert rotated.is_current(rotated.seal("x", company_id=1, column="c"))


def test_a_key_that_is_gone_is_named_as_the_reason() -> None:
    sealed = Vault({"1": OLD}).seal("x", company_id=1, column="c")

    with pytest.raises(VaultError, match="ENCRYPTION_KEYS"):
        Vault({"2": NEW}).open(sealed, company_id=1, column="c")


@pytest.mark.parametrize("damaged", ["", "v1", "v1.1.AAAA", "v1.1.%%%", "v9.1.AAAA"])
def test_a_damaged_secret_is_a_clear_error(vault: Vault, damaged: str) -> None:
    with pytest.raises(VaultError):
        vault.open(damaged, company_id=1, column="c")


def test_what_is_shown_of_a_secret_gives_it_not_away() -> None:
    assert last_four("cal_live_abcd1234") == "1234"
    assert last_four("short") == ""
    assert fingerprint("one") != fingerprint("two")
    assert len(fingerprint("one")) == 8
