#!/bin/sh
# test_loop_uv.sh - the recipe weir_recipe_loops(7) for libuv.
. "$top_srcdir/tests/recipes/recipe.sh"
needs libuv "configure found no libuv"
recipe loops loop_uv
