"""The dossier: what a data-protection officer files of an audit, bound to the run by hashes and signed."""
