"""The containers, for real: `make test-containers`. Needs Docker; `make test` leaves it out."""
