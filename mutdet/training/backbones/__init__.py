"""The self-supervised methods of stage `backbone`, one module each: what the registry names."""
