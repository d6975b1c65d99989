"""What stands in the docs, checked and run: commands, files of configuration, whole pages."""
