#!/bin/sh
# prepare.sh python|venv|doors|lab|demo: what the Makefile's targets need on this machine.
#
#   python  print the Python to use: Debian's own where it is recent enough, else the one on the path
#   venv    make .venv with the suite (editable) and the tools of `make check` and `make test`
#   doors   the programs that the door tests call
#   lab     the programs that the lab needs (tests/lab)
#   demo    the same, after saying what will be installed and how long it takes
#
# As root, missing Debian packages are installed, and it says so. Without root it says precisely what is missing.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
export PATH LC_ALL=C.UTF-8

LAB_CACHE=/var/cache/nagios-failover-lab
NEEDS_PYTHON='import sys; sys.exit(sys.version_info < (3, 11))'
NEEDS_VENV='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'

say() { echo "prepare: $*" >&2; }
fail() { echo "error: $1" >&2; [ -z "${2-}" ] || echo "hint: $2" >&2; exit 1; }

# the first Python that passes the test in $1
find_python() {
    for candidate in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && "$candidate" -c "$1" 2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

# Debian packages whose program is missing: `program package` a line
missing_of() {
    while read -r program package; do
        command -v "$program" >/dev/null || echo "$package"
    done | sort -u | tr '\n' ' ' | sed 's/ *$//'
}

missing_for_lab() {
    find_python "$NEEDS_PYTHON" >/dev/null || printf 'python3 '
    missing_of <<END
debootstrap debootstrap
ip iproute2
iptables-restore iptables
unshare util-linux
nsenter util-linux
setpriv util-linux
losetup mount
mount mount
mkfs.ext4 e2fsprogs
flock util-linux
END
}

missing_for_doors() {
    missing_of <<END
ssh openssh-client
busybox busybox
ps procps
END
}

missing_for_venv() {
    find_python "$NEEDS_VENV" >/dev/null || echo "python3 python3-venv"
}

install() { # what it is for, packages
    purpose="$1"
    shift
    [ -n "$*" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        fail "$purpose needs Debian packages that are not installed: $*" "as root: apt-get install --no-install-recommends $*"
    fi
    command -v apt-get >/dev/null || fail "$purpose needs $*, and there is no apt-get on this machine" "install them by hand"
    say "$purpose needs Debian packages that are not installed; installing: $*"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get -q update && apt-get -q -y --no-install-recommends install "$@"; } </dev/null >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install $*" "the lines above are its last words"
    fi
    rm -f "$log"
}

make_venv() {
    # shellcheck disable=SC2046 # words of a list of packages
    install "the Python environment" $(missing_for_venv)
    python3=$(find_python "$NEEDS_VENV") || fail "there is no Python 3.11 or later with venv" "Debian 12 has it: python3-venv"
    if ! [ -x .venv/bin/python ] || ! .venv/bin/python -c "$NEEDS_PYTHON" 2>/dev/null; then
        say "making .venv with $("$python3" --version) and the libraries of setup.cfg (half a minute)"
        "$python3" -m venv --clear .venv
    fi
    .venv/bin/python -m pip install -qq --disable-pip-version-check -e '.[plot,test,check]'
    touch .venv/ready
}

lab_needs_root() {
    [ "$(id -u)" -eq 0 ] || {
        missing="$(missing_for_lab)"
        fail "the lab runs real hosts in namespaces of this machine and needs root; this is uid $(id -u)" \
            "run it as root${missing:+ (it would also install: $missing)}"
    }
}

case "${1-}" in
python)
    find_python "$NEEDS_PYTHON" || fail "there is no Python 3.11 or later" "apt-get install python3" ;;
venv)
    make_venv ;;
doors)
    # shellcheck disable=SC2046
    install "running the door tests" $(missing_for_doors) ;;
lab)
    lab_needs_root
    # shellcheck disable=SC2046
    install "the lab" $(missing_for_lab) ;;
demo)
    lab_needs_root
    missing="$(missing_for_lab)"
    echo "This demo runs two real Nagios hosts and a third machine in namespaces of this one. It starts no service outside of them."
    [ -z "$missing" ] || echo "It will install these Debian packages on this machine: $missing"
    if ls -d "$LAB_CACHE"/bookworm-* >/dev/null 2>&1; then
        echo "The hosts' Debian is there already ($LAB_CACHE): less than a minute in all."
    else
        echo "It will make the hosts' Debian once, about 900 MB in $LAB_CACHE: two to three minutes; later demos take less than one."
    fi
    echo
    # shellcheck disable=SC2086
    install "the lab" $missing ;;
*)
    fail "usage: tests/prepare.sh python|venv|doors|lab|demo" ;;
esac
