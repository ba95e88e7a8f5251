"""Plans: a grid becomes distinct networks, measured, and the candidates that meet a budget."""
