"""A run told to the trackers that researchers use: TensorBoard's event files and MLflow, live or afterwards."""
