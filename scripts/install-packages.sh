#!/bin/bash
# Installs what CiderFS needs from Debian 12 packages. Quiet, and quick when everything is there.
# usage: install-packages.sh [GROUP...]     groups: build (the default), test, lint, fuzz, coverage
set -eu

build=(cmake ninja-build g++ pkg-config python3 libspdlog-dev nlohmann-json3-dev libssl-dev libsqlite3-dev libpq-dev libmariadb-dev
  libhiredis-dev libcurl4-openssl-dev libpugixml-dev libssh-dev libisal-dev liblz4-dev libzstd-dev
  liburing-dev librocksdb-dev libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc fuse3)
test=(libgtest-dev libcli11-dev sqlite3 redis-server postgresql mariadb-server-core mariadb-client-core etcd-server etcd-client openssh-server
  apache2-bin attr acl libacl1-dev procps fio openssl)
# pjdfstest needs Rust 1.85; Debian's newer Rust has the suffix -web, after what it is packaged for.
command -v cargo >/dev/null || test+=(cargo-web rustc-web)
# SeaweedFS, which the tests of object stores run, is in a Python package. MinIO wants Go 1.24, newer than Debian 12 has.
test+=(python3-venv)
lint=(clang-format-19 clang-tidy-19)
fuzz=(clang-19 libclang-rt-19-dev)
coverage=(gcovr)

wanted=()
for group in "${@:-build}"; do
  case $group in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    lint) wanted+=("${lint[@]}") ;;
    fuzz) wanted+=("${fuzz[@]}") ;;
    coverage) wanted+=("${coverage[@]}") ;;
    *) echo "install-packages.sh: there is no group \"$group\"; there are build, test, lint, fuzz, coverage" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "install-packages.sh: run as root, or install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing ${missing[*]}"
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null; }
apt install --no-install-recommends "${missing[@]}" 2>/dev/null || { apt update; apt install --no-install-recommends "${missing[@]}"; }
