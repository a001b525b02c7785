"""Every model we speak to: thin asynchronous clients of three wire protocols. Imports no other room."""
