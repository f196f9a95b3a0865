# shellcheck shell=bash
# Functions of deploy/demo and Tests/run: check the toolchain, install missing Debian packages, build.
# To be sourced with the repository's root as the working directory.

swift_version_min=6.2
# shellcheck disable=SC2034 # used by the scripts that source this
gateway=.build/release/blnk-gateway

# On a terminal: colors, and the elapsed time of long commands.
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

# quietly TITLE COMMAND...: runs the command, shows the elapsed time (without a terminal: a line every 30 s), and
# prints its output only if it fails.
quietly() {
  local title=$1 log pid status=0 start=$SECONDS next=30
  shift
  log=$(mktemp)
  [ -n "$clear" ] || say "$title …"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  # shellcheck disable=SC2064 # expand pid and log now
  trap "kill $pid 2>/dev/null; rm -f '$log'; printf '%s' '$clear' >&2; exit 130" INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    if [ -n "$clear" ]; then
      printf '%s%s … %d s' "$clear" "$title" $((SECONDS - start)) >&2
    elif [ $((SECONDS - start)) -ge "$next" ]; then
      say "$title … $next s"
      next=$((next + 30))
    fi
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
  command -v swift >/dev/null || fail "no Swift toolchain on the PATH; Swift $swift_version_min or later is required:" \
    "https://www.swift.org/install/linux/debian/12/"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1) || true
  [ -n "$version" ] || fail "\"swift --version\" failed; is the toolchain complete?"
  [ "$(printf '%s\n' "$swift_version_min" "$version" | sort -V | head -n 1)" = "$swift_version_min" ] ||
    fail "Swift $version is too old; Swift $swift_version_min or later is required: https://www.swift.org/install/linux/debian/12/"
}

# install_missing PACKAGE...: installs those Debian packages that are missing with apt-get, as root or through sudo.
install_missing() {
  local package missing=() as_root=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null ||
    fail "missing packages: ${missing[*]} (Debian names); install them yourself, because there is no apt-get"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      fail "missing packages: ${missing[*]}; install them as root: apt-get update && apt-get install ${missing[*]}"
    # Ask for the password now: "quietly" takes the terminal away.
    sudo -v || fail "missing packages: ${missing[*]}; sudo failed, so they cannot be installed"
    as_root=(sudo)
  fi
  quietly "Updating the package lists" "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=120 update
  quietly "Installing ${missing[*]}" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "${missing[@]}"
}

release() { swift build -c release --static-swift-stdlib --disable-local-rpath; }

build_release() { quietly "Building the release" release; }
