#!/bin/sh
# test_loop_event.sh - the recipe weir_recipe_loops(7) for libevent.
. "$top_srcdir/tests/recipes/recipe.sh"
needs libevent "configure found no libevent"
recipe loops loop_event
