"""Checks of the containers, which need Docker: `make test-containers`."""

import pytest

pytest.register_assert_rewrite("tests.containers.working")
