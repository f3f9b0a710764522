"""A consortium: who its members are, by keys that each of them checked, and the certificates that let them in."""
