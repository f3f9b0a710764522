"""Several runs beside each other: what differs in their studies, and what that made of their scores."""
