"""Label formats: what their files hold."""
