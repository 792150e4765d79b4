#!/bin/sh
# test_logs.sh - the recipe weir_recipe_logs(7).
. "$top_srcdir/tests/recipes/recipe.sh"
recipe logs logs
