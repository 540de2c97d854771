# shellcheck shell=bash
# Sourced by ./run and ./test: finds a Python, and makes the checkout's own .venv when it is missing or out of date.
# What it has to say goes to stderr, so that a command's stdout stays the command's.
: "${top:?the top of the checkout}"
venv="$top/.venv"

# say TEXT: one line of talk
say() { printf 'watchword: %s\n' "$*" >&2; }

# find_python: the newest Python that runs, is 3.11 or later and can make a virtual environment
find_python() {
    local candidate
    for candidate in python3.14 python3.13 python3.12 python3.11 python3 python; do
        # A name on the PATH may be a shim of a version that is not there, so each is really run.
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    say "Python 3.11 or later with its venv module is needed (Debian: apt-get install python3 python3-venv)"
    return 1
}

# missing_packages: those of .ci/packages whose command is not here, one a line
missing_packages() {
    local command package
    while read -r command package; do
        if ! command -v "$command" >/dev/null && ! compgen -G "$command" >/dev/null; then
            printf '%s\n' "$package"
        fi
    done < <(grep -v '^#' "$top/.ci/packages")
}

# stamp EXTRA: what the environment was made from; a moved checkout or a changed pyproject.toml gives another
stamp() { printf '%s %s\n%s\n' "$1" "$top" "$(cat "$top/pyproject.toml")"; }

# fresh EXTRA: is the environment there and made from what stands here now?
fresh() {
    [ -x "$venv/bin/watchword" ] && [ -f "$venv/stamp-$1" ] && [ "$(cat "$venv/stamp-$1")" = "$(stamp "$1")" ]
}

# install EXTRA: the checkout itself, editable, with its extra; uv for its speed, plain pip where uv does not work
install() {
    local target="${top}[$1]"
    if "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv &&
        "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --reinstall-package watchword \
            --editable "$target"; then
        return
    fi
    say "uv did not do it, trying pip"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$target"
}

# prepare EXTRA: leaves a .venv with that extra, or says what went wrong and fails
prepare() {
    local extra=$1 python log
    if fresh "$extra"; then return; fi
    python=$(find_python) || return
    mkdir -p "$venv"
    # The lock belongs to the open file, so it holds when this little Python is gone and until fd 9 is closed.
    exec 9>"$venv/lock"
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || return
    if ! fresh "$extra"; then
        log="$venv/setup.log"
        say "setting up .venv with [$extra]; the first time takes about a minute"
        if ! make_environment "$python" "$extra" >"$log" 2>&1; then
            tail -n 20 "$log" >&2
            say "setting up .venv failed; all of it stands in $log"
            exec 9>&-
            return 1
        fi
    fi
    exec 9>&-
}

# make_environment PYTHON EXTRA: the slow part; the stamps come last, so that a broken attempt is made again
make_environment() {
    rm -f "$venv"/stamp-*
    if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version; then
        "$1" -m venv "$venv" || return
    fi
    install "$2" || return
    stamp "$2" >"$venv/stamp-$2"
    # The tests' environment holds everything that running needs.
    if [ "$2" = dev ]; then stamp all >"$venv/stamp-all"; fi
}
