#!/bin/sh
# Builds SkillMeat from this checkout, installs it for the user who runs this, and sets up a home.
#
#     ./packaging/install.sh            build and install
#     ./packaging/install.sh FOLDER     ... and add every artifact of FOLDER to the library
#
# PREFIX (default ~/.local) says where: the programs go to $PREFIX/bin. Nothing needs root, and running it
# again upgrades what is there.
set -eu

say() { printf '%s\n' "$*"; }
hint() { printf 'hint: %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    for line in "$@"; do hint "$line"; done
    exit 1
}

case "${1-}" in
    -h | --help)
        say "usage: $0 [FOLDER]"
        say "builds sm and skillmeatd, installs them to \${PREFIX:-~/.local}/bin, sets up a home,"
        say "and adds every artifact of FOLDER, if one is given"
        exit 0
        ;;
    -*) fail "\`$1\` is no option" "usage: $0 [FOLDER]" ;;
esac
[ "$#" -le 1 ] || fail "several folders are given" "usage: $0 [FOLDER]"

# Everything that can be wrong is told before minutes go into a build.
folder=
if [ "$#" -eq 1 ]; then
    [ -d "$1" ] || fail "\`$1\` is not a folder" "name a folder with skills, agents, commands or plugins"
    folder=$(cd -- "$1" && pwd -P)
fi
[ -n "${PREFIX-}" ] || [ -n "${HOME-}" ] || fail "\`HOME\` is not set" "set \`PREFIX\` to the folder to install to"
prefix=${PREFIX:-$HOME/.local}
case $prefix in
    /*) ;;
    *) prefix=$(pwd -P)/$prefix ;;
esac
bin=$prefix/bin
root=$(cd -- "$(dirname -- "$0")/.." && pwd -P)
cd -- "$root"

command -v cargo >/dev/null 2>&1 ||
    fail "\`cargo\` is missing" "install Rust with rustup, then open a new shell"
command -v cc >/dev/null 2>&1 ||
    fail "a C compiler (\`cc\`) is missing: SQLite is built from its source" \
        "on Debian and Ubuntu: \`sudo apt-get install -y build-essential\`"
needed=$(sed -n 's/^rust-version = "\([0-9]*\.[0-9]*\).*/\1/p' Cargo.toml)
found=$(cargo --version | sed -n 's/^cargo \([0-9]*\.[0-9]*\).*/\1/p')
if [ -n "$needed" ] && [ -n "$found" ]; then
    if [ "${found%%.*}" -lt "${needed%%.*}" ] ||
        { [ "${found%%.*}" -eq "${needed%%.*}" ] && [ "${found#*.}" -lt "${needed#*.}" ]; }; then
        fail "Rust $needed or newer is needed, this is $found" "\`rustup update stable\`"
    fi
fi
mkdir -p -- "$bin" || fail "can't make the folder \`$bin\`" "set \`PREFIX\` to a folder that you may write"
[ -w "$bin" ] || fail "\`$bin\` can't be written" "set \`PREFIX\` to a folder that you may write"

say "building (a few minutes the first time)"
cargo build --release --locked -p skillmeat-client -p skillmeatd --bins
target=$(cargo metadata --format-version 1 --no-deps --locked |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
for program in sm skillmeatd; do
    [ -x "$target/release/$program" ] ||
        fail "the build left no \`$target/release/$program\`" "unset \`CARGO_BUILD_TARGET\`, if it is set"
done

# A running program can't be written over, but its name can be given to another file.
for program in sm skillmeatd; do
    cp -- "$target/release/$program" "$bin/.$program.new"
    chmod 755 "$bin/.$program.new"
    mv -f -- "$bin/.$program.new" "$bin/$program"
done
ln -sf sm "$bin/skillmeat"
say "installed sm, skillmeat and skillmeatd to $bin"

# A daemon of the version before would go on serving.
"$bin/sm" --quiet daemon stop || hint "an older daemon still runs: \`sm daemon restart --force\`"

code=0
"$bin/sm" init
if [ -n "$folder" ]; then
    "$bin/sm" add --all "$folder" || code=$?
    # 9: some artifacts failed, and the lines above name them.
    [ "$code" -eq 0 ] || [ "$code" -eq 9 ] || exit "$code"
fi
case ":$PATH:" in
    *":$bin:"*) ;;
    *) hint "\`$bin\` is not on your PATH: add \`export PATH=\"$bin:\$PATH\"\` to your shell's profile" ;;
esac
"$bin/sm" status
exit "$code"
