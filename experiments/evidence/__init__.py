"""What an audit rests on: what each observer saw, and, in simulation, the truth that findings are scored against."""
