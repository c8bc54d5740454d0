"""Pages that show what was computed: one HTML file each, which loads nothing."""
