"""What each subcommand of `napari-unet` does; cli.py reads its options."""
