"""From a trained network and an image to class probabilities and a mask."""
