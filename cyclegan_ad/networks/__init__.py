"""The two networks of the paper: the generator and the PatchGAN discriminator."""
