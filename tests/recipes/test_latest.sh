#!/bin/sh
# test_latest.sh - the recipe weir_recipe_latest(7).
. "$top_srcdir/tests/recipes/recipe.sh"
recipe latest latest
