"""A workshop that never took place: made-up traffic and a made-up model, labelled as such everywhere."""
