"""Where programs come from. A source has two methods: `plan` (config to tasks) and `produce` (task to programs)."""
