"""The certificate of a run: artificial sources put into its images and measured again."""
