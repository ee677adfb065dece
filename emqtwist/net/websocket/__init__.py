"""MQTT in WebSocket frames. Autobahn is imported by `factory` and `protocol`, so only where a listener needs it."""
