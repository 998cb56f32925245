"""The flows of this project, one file each."""
