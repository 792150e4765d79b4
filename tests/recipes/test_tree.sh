#!/bin/sh
# test_tree.sh - the recipe weir_recipe_tree(7).
. "$top_srcdir/tests/recipes/recipe.sh"
recipe tree tree
