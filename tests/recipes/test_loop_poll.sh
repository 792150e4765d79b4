#!/bin/sh
# test_loop_poll.sh - the recipe weir_recipe_loops(7) for poll.
. "$top_srcdir/tests/recipes/recipe.sh"
recipe loops loop_poll
