"""What the console does by itself: chores again and again, and jobs that pages leave for later."""
