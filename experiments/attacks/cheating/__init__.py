"""What attacks of a coordinator that cheats share. No entries."""
