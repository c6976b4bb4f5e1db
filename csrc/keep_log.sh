#!/bin/sh
# keep_log.sh FILE COMMAND...: runs a compiler and writes what it says into the file, too. Builds are quiet, and what
# ptxas tells of registers is wanted afterwards (tests/test_kernels.py).
log=$1
shift
"$@" >"$log" 2>&1
code=$?
cat "$log" >&2
exit $code
