"""Settings of the commands: composed by Hydra from ``conf/``, then checked and typed."""
