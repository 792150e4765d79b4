#!/bin/sh
# test_work.sh - the recipe weir_recipe_work(7).
. "$top_srcdir/tests/recipes/recipe.sh"
recipe work work
