#!/bin/sh
# test_group.sh - the recipe weir_recipe_group(7).
. "$top_srcdir/tests/recipes/recipe.sh"
needs_multicast
recipe group group
