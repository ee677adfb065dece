"""The cluster, without sockets: what nodes tell each other, and what each makes of it."""
