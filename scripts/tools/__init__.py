"""What only developers and CI run: images, locks, generated files, the deployment on AWS."""
