"""The commands of ``python -m swprof_mw``; each module one noun, ``main`` the way in."""
