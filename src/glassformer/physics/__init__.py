"""The Kob-Andersen model: parameters, pair potential, periodic box, configurations and state points."""
