"""Questions to hospitals that are no model: the conversation, what it leaves in a folder, and how it is shown."""
