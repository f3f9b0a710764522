"""Catalogue of adversaries: who looks, what each can see and do; one file each."""
