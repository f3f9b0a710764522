"""The consortium at its coordinator: who joins, leaves, is renewed or revoked, and the files that each is handed."""
