"""What files that stages hand on mean to their readers."""
