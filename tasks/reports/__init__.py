"""What people look at: cards, figures and run artifacts."""
