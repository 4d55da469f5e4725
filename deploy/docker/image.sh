#!/usr/bin/env bash
# Builds the image and runs it as the chart does, where there are buildah and podman:
#   deploy/docker/image.sh build [TAG]   carillon:TAG, by default of the version in pyproject.toml
#   deploy/docker/image.sh check [TAG]   nobody's user, a root file system that nobody writes, every command is there
#   python -m tests.image [TAG]          every process of a stack, from the image, on a real Postgres and NATS
#   deploy/docker/image.sh base          a base from Debian's packages, for where no registry is reached (debootstrap)
# BASE and BUILDER name other base images. PIP_CONF (a pip.conf) and CA_BUNDLE (certificates) are for the build alone,
# where packages come from a mirror; neither gets into the image.
set -euo pipefail
cd "$(dirname "$0")/../.."

name=carillon
version() { sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -n 1; }
# Inside a container there is no user namespace to be had; chroot needs none.
build() { buildah build --isolation="${ISOLATION:-chroot}" --format docker "$@"; }

make_base() {
  local folder
  folder=$(mktemp -d)
  debootstrap --variant=minbase --include=python3,ca-certificates "${SUITE:-bookworm}" "$folder" >/dev/null
  rm -rf "$folder"/var/cache/apt/* "$folder"/var/lib/apt/lists/* "$folder"/usr/share/{doc,man,locale}/*
  import "$folder" "$name-base"
  rm -rf "$folder"
  folder=$(mktemp -d)
  debootstrap --variant=minbase --include=python3-venv,ca-certificates "${SUITE:-bookworm}" "$folder" >/dev/null
  import "$folder" "$name-builder"
  rm -rf "$folder"
  echo "now: BASE=localhost/$name-base:local BUILDER=localhost/$name-builder:local $0 build"
}

# FOLDER NAME: an image of one layer.
import() {
  local container
  container=$(buildah from scratch 2>/dev/null)
  buildah add --quiet "$container" "$1" / >/dev/null
  buildah commit --quiet --rm "$container" "localhost/$2:local" >/dev/null
}

make_image() {
  local tag=${1:-$(version)} conf=${PIP_CONF:-/dev/null}
  build --file deploy/docker/Dockerfile --tag "localhost/$name:$tag" \
    ${BASE:+--build-arg "BASE=$BASE"} ${BUILDER:+--build-arg "BUILDER=$BUILDER"} \
    --build-arg "VERSION=$tag" --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    --secret "id=pip,src=$conf" ${CA_BUNDLE:+--volume "$CA_BUNDLE:/etc/ssl/certs/ca-certificates.crt:ro"} \
    --ignorefile deploy/docker/Dockerfile.dockerignore .
}

# [PODMAN ARGUMENTS] -- ARGUMENTS OF THE IMAGE: as in the chart's pods.
run() {
  local options=()
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  podman run --rm --runtime "${RUNTIME:-runc}" --network=host --read-only --read-only-tmpfs=false \
    --tmpfs /tmp:rw,size=256m,mode=1777 --cap-drop=ALL --security-opt=no-new-privileges \
    --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 "${options[@]}" "localhost/$name:$tag" "$@"
}

expect() { # WHAT IT SHOWS, then the command; says ok or fails
  local what=$1
  shift
  if "$@" >/tmp/image-check.log 2>&1; then echo "ok: $what"; else cat /tmp/image-check.log; echo "FAILED: $what"; exit 1; fi
}

check_image() {
  tag=${1:-$(version)}
  for service in contacts segments campaigns gateway; do
    for command in serve work migrate after-restore erase-account; do
      expect "carillon $service $command" run -- "$service" "$command" --help
    done
  done
  expect "carillon accounts" run -- accounts --help
  expect "carillon events" run -- events --help
  expect "it is nobody" run --entrypoint python -- -c 'import os; assert (os.getuid(), os.getgid()) == (10001, 10001)'
  expect "nobody can write but to /tmp" run --entrypoint python -- -c '
import errno, os, sys
open("/tmp/x", "w").close()
for folder in ("/", "/opt/carillon", os.path.dirname(sys.executable)):
    try:
        open(os.path.join(folder, "x"), "w")
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.EACCES), error
    else:
        sys.exit(folder)
'
  expect "no pip and no development tools" run --entrypoint python -- -c '
import importlib.util
assert not [name for name in ("pip", "pytest", "hatchling", "grpc_tools", "mypy") if importlib.util.find_spec(name)]'
  expect "what it has been built of is labelled" test -n \
    "$(buildah inspect --type image --format '{{index .Docker.Config.Labels "org.opencontainers.image.revision"}}' "localhost/$name:$tag")"
  podman image list --format '{{.Repository}}:{{.Tag}} {{.Size}}' "localhost/$name:$tag"
}

case "${1:-}" in
  base) make_base ;;
  build) make_image "${2:-}" ;;
  check) check_image "${2:-}" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
