"""Bridges: messages that match a Topic Filter here are published again at a node outside the cluster."""
