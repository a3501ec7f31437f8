"""What the docks observe: images with their labels, jobs, versions of the model. No Qt."""
