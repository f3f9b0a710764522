"""From attacks and recorded traffic to findings, verdicts and the report."""
