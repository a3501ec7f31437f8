"""What the widgets observe: current model, cached probabilities, jobs, versions."""
