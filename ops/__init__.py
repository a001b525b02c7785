"""Running the house: settings, processes, and the commands of the command line."""
