"""What is done around a recipe, from outside: checks, results, comparisons."""
