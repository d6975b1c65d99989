"""How the project is kept: its rooms, figures, forms, commands and releases. Needs what developers have installed."""
