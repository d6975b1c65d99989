"""Apps in the styles that people write, and a request that other tools watch: what their tests run."""
