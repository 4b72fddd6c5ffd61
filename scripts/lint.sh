#!/bin/bash
# clang-format and clang-tidy over the sources.
# usage: lint.sh [--fix] [FILE...]     default: the .cc and .h files that differ from `origin/main` or, without it, all
# Needs a configured build/dev (for compile_commands.json) and scripts/install-packages.sh lint.
set -eu
cd "$(dirname "$0")/.."

fix=
if [ "${1:-}" = --fix ]; then fix=1; shift; fi
files=("$@")
if [ ${#files[@]} = 0 ]; then
  base=$(git merge-base origin/main HEAD 2>/dev/null || true)
  mapfile -t files < <(if [ -n "$base" ]; then git diff --name-only --diff-filter=d "$base"; else git ls-files; fi | grep -E '^src/.*\.(cc|h)$' || true)
fi
[ ${#files[@]} -gt 0 ] || { echo "lint.sh: nothing to check"; exit 0; }
[ -f build/dev/compile_commands.json ] || cmake --preset dev >/dev/null

failed=0
if [ -n "$fix" ]; then clang-format-19 -i "${files[@]}"; else clang-format-19 --dry-run --Werror "${files[@]}" || failed=1; fi
mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep '\.cc$' || true)
if [ ${#sources[@]} -gt 0 ]; then
  # Flags that GCC knows and clang doesn't are no finding.
  printf '%s\0' "${sources[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy-19 --quiet -p build/dev \
    --extra-arg=-Wno-unknown-warning-option ${fix:+--fix} || failed=1
fi
exit $failed
