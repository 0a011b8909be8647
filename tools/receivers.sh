#!/usr/bin/env bash
# Brings the receivers that the machine's Debian is too old for, from Debian sid's binary packages,
# for the tests of remote write and OTLP: Prometheus 3 and VictoriaMetrics. Both are Go programs that
# need a C library alone. Nothing is installed: they lie below ~/.cache (120 MB), and are brought once.
set -euo pipefail
cache=$HOME/.cache/primus-lens/receivers
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
wanted=()
[ -x "$cache/prometheus" ] || wanted+=(prometheus)
[ -x "$cache/victoria-metrics" ] || wanted+=(victoria-metrics)
((${#wanted[@]})) || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{sources,lists/partial,cache/archives/partial,root}
sources=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true)
debian=$(awk '/^URIs:/ {print $2} /^deb / {print $2}' <<<"$sources" | sed 's#/$##' |
    awk '/\/debian$/ {if (!found++) print}')
[ -n "$debian" ] || {
    echo "receivers.sh: not on Debian: the tests that need ${wanted[*]} are skipped" >&2
    exit 0
}
cat >"$work/sources/sid.sources" <<END
Types: deb
URIs: $debian
Suites: sid
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
apt=(apt-get -qq -oDir::Etc::SourceList=/dev/null -oDir::Etc::SourceParts="$work/sources"
    -oDir::State::Lists="$work/lists" -oDir::Cache="$work/cache" -oAPT::Sandbox::User="$(id -un)")
"${apt[@]}" update
cd "$work"
"${apt[@]}" download "${wanted[@]}"
for package in ./*.deb; do
    dpkg-deb --extract "$package" root
done
for program in "${wanted[@]}"; do
    install "root/usr/bin/$program" "$cache/$program"
done
