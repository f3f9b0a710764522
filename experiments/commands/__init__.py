"""The commands of `wardround`, one room a group. Nothing heavy is imported before a command needs it."""
