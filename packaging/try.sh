#!/bin/bash
# Tries a package in a bare Debian: try.sh PACKAGE.deb. As root, with debootstrap and a network.
#
# Installs it, starts the server, talks to it, upgrades to the same with a higher version, asks for
# what was stored before, and takes all of it away again. What is left is an error.
set -euo pipefail
umask 022

package=$(realpath "$1")
work=$(mktemp -d)
root=$work/root
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	umount "$root/proc" 2>/dev/null || true
	rm -rf --one-file-system "$work"
}
trap finish EXIT

say() { echo "try: $*"; }

# The package's libraries come with the system, so that only the package comes and goes.
libraries=$(dpkg-deb -f "$package" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/ //g')
debootstrap --variant=minbase --include="$libraries" bookworm "$root" >"$work/log" ||
	{ tail "$work/log" && exit 1; }
mount -t proc proc "$root/proc"
files() { (cd "$root" && find etc usr lib var/lib/brim -xdev 2>/dev/null | LC_ALL=C sort) || true; }
files >"$work/before"

start() {
	chroot "$root" /usr/bin/brim --config /etc/brim/brim.yaml -l 127.0.0.1:21999 -m 64 \
		--store /var/lib/brim --store-size 64m --admin-listen unix:/run/brim-admin 2>"$work/server" &
	server=$!
	for _ in $(seq 100); do
		grep -q ' server.ready ' "$work/server" && return
		kill -0 "$server" && sleep 0.1
	done
	cat "$work/server"
	exit 1
}
stop() {
	kill "$server"
	wait "$server"
	server=
}
ask() {
	exec 3<>/dev/tcp/127.0.0.1/21999
	printf '%b' "$1quit\r\n" >&3
	found=$(cat <&3 | tr -d '\r')
	exec 3>&-
	[ "$found" = "$2" ] || { say "got: $found" && exit 1; }
}

cp "$package" "$root/first.deb"
chroot "$root" dpkg -i /first.deb
mkdir -p "$root/var/lib/brim"
start
ask 'set a 0 0 5\r\nhello\r\n' STORED
stop
say "installed, started, talked to"

echo "# The operator's own line." >>"$root/etc/brim/brim.yaml"
dpkg-deb -R "$package" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -b "$work/next" "$root/next.deb" >/dev/null
chroot "$root" dpkg -i --force-confold /next.deb
tail -n 1 "$root/etc/brim/brim.yaml" | grep -q "operator's own"
start
ask 'get a\r\n' "$(printf 'VALUE a 0 5\nhello\nEND')"
stop
say "upgraded, with its settings and what it held"

chroot "$root" dpkg -r brim
[ -e "$root/etc/brim/brim.yaml" ] && [ -e "$root/var/lib/brim/data.mdb" ]
chroot "$root" dpkg -P brim
files | diff "$work/before" - | grep -v '^[0-9]' && exit 1
say "purged: nothing is left"
