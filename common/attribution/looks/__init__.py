"""What is inside a network: its filters, what its layers answer, what excites a neuron, and how much is silent."""
