from starters.sources import look_through


def test_an_address_with_a_password_is_refused_and_the_password_is_not_told() -> None:
    found = look_through(["https://me:secret@docs.example/a@b", "https://docs.example/a@b"])

    assert [one.source for one in found.sources] == ["https://docs.example/a@b"]
    assert found.failures == [
        ("https://docs.example/a@b", "An address may not hold a user name or a password.")
    ]
