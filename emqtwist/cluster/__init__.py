"""The cluster's links: how nodes find, prove and hear each other. What they say is `core.cluster`."""
