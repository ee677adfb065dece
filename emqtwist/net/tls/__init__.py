"""TLS for listeners: the layer between a transport and MQTT, and the files that it is made with."""
