#!/bin/sh
# test_bridge.sh - the recipe weir_recipe_bridge(7).
. "$top_srcdir/tests/recipes/recipe.sh"
needs_multicast
recipe bridge bridge
