"""How data without a site column is divided between hospitals: one file a way."""
