"""Training and testing against inputs that somebody changed a little on purpose."""
