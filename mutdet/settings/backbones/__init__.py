"""Settings of the methods of stage `backbone`, one module each."""
