#!/bin/sh
# test_loop_epoll.sh - the recipe weir_recipe_loops(7) for epoll.
. "$top_srcdir/tests/recipes/recipe.sh"
needs epoll "this system has no epoll"
recipe loops loop_epoll
