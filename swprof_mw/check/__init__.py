"""What is wrong with an app, its settings, process or backend, and what mends it: for ``swprof check`` and Django."""
