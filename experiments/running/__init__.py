"""One study, run: engine, baselines, terminal, pictures, records of patients."""
