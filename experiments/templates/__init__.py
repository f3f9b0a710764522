"""What `wardround new KIND NAME` writes: whole entries, one of each kind; `Mine` and `mine` become the name."""
