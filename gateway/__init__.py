"""The host's wire: assign by permit, ask the arm's backend, log before answering. See README.md."""
