"""Old and new models measured in turn, with the noise of this machine beside the verdict."""
