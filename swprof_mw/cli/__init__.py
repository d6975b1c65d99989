"""The commands of ``swprof``; each module one noun, ``main`` the way in."""
