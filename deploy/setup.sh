# shellcheck shell=bash
# What deploy/demo and Tests/run share: checks the toolchain, installs Debian packages that are missing, builds.
# Sourced by them, with the working directory at the top of the repository.

swift_version_min=6.2
# shellcheck disable=SC2034 # used by the scripts that source this
gateway=.build/release/blnk-gateway

# On a terminal: colour, and a counter while something long runs.
if [ -t 2 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\033[1m' red=$'\033[31m' plain=$'\033[0m' clear=$'\r\033[K'
else
  bold='' red='' plain='' clear=''
fi

say() { printf '%s%s%s\n' "$bold" "$*" "$plain" >&2; }

fail() {
  printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
  exit 1
}

# quietly TITLE COMMAND...: runs the command, shows how long it has been running, and its output only if it fails.
quietly() {
  local title=$1 log pid status=0 start=$SECONDS
  shift
  log=$(mktemp)
  [ -n "$clear" ] || say "$title …"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  # shellcheck disable=SC2064 # the pid and the file of now
  trap "kill $pid 2>/dev/null; rm -f '$log'; printf '%s' '$clear' >&2; exit 130" INT TERM
  while [ -n "$clear" ] && kill -0 "$pid" 2>/dev/null; do
    printf '%s%s … %d s' "$clear" "$title" $((SECONDS - start)) >&2
    sleep 0.2
  done
  wait "$pid" || status=$?
  trap - INT TERM
  printf '%s' "$clear" >&2
  if [ "$status" -ne 0 ]; then
    tail -n 100 "$log" >&2
    rm -f "$log"
    fail "$title failed (exit $status)"
  fi
  rm -f "$log"
  [ -z "$clear" ] || say "$title: $((SECONDS - start)) s"
}

check_swift() {
  local version
  command -v swift >/dev/null || fail "there is no Swift toolchain on the PATH; this needs Swift $swift_version_min or later:" \
    "https://www.swift.org/install/linux/debian/12/"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1) || true
  [ -n "$version" ] || fail "\"swift --version\" does not work; is the toolchain whole?"
  [ "$(printf '%s\n' "$swift_version_min" "$version" | sort -V | head -n 1)" = "$swift_version_min" ] ||
    fail "Swift $version is too old; this needs Swift $swift_version_min or later: https://www.swift.org/install/linux/debian/12/"
}

# install_missing PACKAGE...: Debian packages, with apt-get, as root or through sudo.
install_missing() {
  local package missing=() as_root=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null ||
    fail "missing: ${missing[*]} (Debian's names), and there is no apt-get here to install them with"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      fail "missing: ${missing[*]}; install them as root: apt-get update && apt-get install ${missing[*]}"
    # Asks for the password now, while the terminal is free.
    sudo -v || fail "missing: ${missing[*]}, and sudo refused to install them"
    as_root=(sudo)
  fi
  quietly "Updating the package lists" "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=120 update
  quietly "Installing ${missing[*]}" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "${missing[@]}"
}

build_release() {
  quietly "Building the release" swift build -c release --static-swift-stdlib
}
