#!/bin/sh
# test_together.sh - the recipe weir_recipe_together(7).
. "$top_srcdir/tests/recipes/recipe.sh"
recipe together together
