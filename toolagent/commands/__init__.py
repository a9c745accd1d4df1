"""The pages behind the command line; toolagent/cli.py says which command stands on which. Nothing else imports them."""
