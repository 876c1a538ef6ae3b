"""How plans, progress and reports look in a terminal. Outside text never becomes markup."""
