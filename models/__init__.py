"""What learns, from arrays alone: networks, training, prediction, evaluation, shipped weights."""
