#!/bin/sh
# test_request.sh - the recipe weir_recipe_request(7).
. "$top_srcdir/tests/recipes/recipe.sh"
recipe request request
