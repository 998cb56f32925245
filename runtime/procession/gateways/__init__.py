"""Ready-made gateways: HTTP, programs of the system."""
