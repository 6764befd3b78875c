"""Everything that draws: colours, text fitting, SVG, figures and plots, for the terminal, pictures and pages alike."""
