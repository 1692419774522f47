"""Jobs of the work pools: what a kind of job is, the kinds there are, how lanes are woken."""
