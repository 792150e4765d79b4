#!/bin/sh
# test_lru.sh - the recipe weir_recipe_lru(7).
. "$top_srcdir/tests/recipes/recipe.sh"
recipe lru lru
