"""Control of a running broker: commands behind an AMP server on a Unix socket, and their client."""
