#!/bin/bash
# Makes a package of Debian from a built release: deb.sh PATH-TO-BRIM FOLDER
#
# Whatever is the same makes the same file: times are those of the last commit.
set -euo pipefail
umask 022

brim=$(realpath "$1")
out=$(realpath "$2")
here=$(cd "$(dirname "$0")/.." && pwd)
version=$("$brim" -V | cut -d' ' -f2)
architecture=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
doc=$root/usr/share/doc/brim

install -D -m 755 "$brim" "$root/usr/bin/brim"
strip --strip-unneeded "$root/usr/bin/brim"
install -D -m 644 -t "$root/lib/systemd/system" "$here"/config/brim.{service,socket}
# With the port of memcached's exporter for metrics: what scrapes that goes on.
sed 's/^admin-listen: ""$/admin-listen: 127.0.0.1:9150/' "$here/config/brim.yaml" >"$work/brim.yaml"
grep -q '^admin-listen: 127' "$work/brim.yaml"
install -D -m 644 "$work/brim.yaml" "$root/etc/brim/brim.yaml"
mkdir -p "$root/usr/share/man/man1" "$root/usr/share/bash-completion/completions" \
	"$root/usr/share/zsh/vendor-completions" "$root/usr/share/fish/vendor_completions.d"
python3 "$here/packaging/help.py" man "$brim" | gzip -9n >"$root/usr/share/man/man1/brim.1.gz"
python3 "$here/packaging/help.py" bash "$brim" \
	>"$root/usr/share/bash-completion/completions/brim"
python3 "$here/packaging/help.py" zsh "$brim" >"$root/usr/share/zsh/vendor-completions/_brim"
python3 "$here/packaging/help.py" fish "$brim" \
	>"$root/usr/share/fish/vendor_completions.d/brim.fish"
install -D -m 644 -t "$doc" "$here/docs/operating.md"
install -D -m 644 -t "$doc/operating" "$here"/docs/operating/*.md
install -D -m 644 -t "$doc/examples" "$here/config/grafana/brim.json" \
	"$here/config/prometheus/brim-rules.yaml" "$here/config/kubernetes.yaml"
cat >"$doc/copyright" <<'END'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: brim

Files: *
Copyright: 2026 The Brim authors
License: Apache-2.0
 On Debian systems, the full text is in /usr/share/common-licenses/Apache-2.0.
END
maintainer=${MAINTAINER:-$(git -C "$here" log -1 --format="%an <%ae>")}
gzip -9n >"$doc/changelog.gz" <<END
brim ($version) unstable; urgency=medium

  * See operating.md and the release notes.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END

mkdir -p "$work/debian" "$root/DEBIAN"
printf 'Source: brim\n\nPackage: brim\nArchitecture: any\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O "$root/usr/bin/brim" 2>/dev/null |
	sed 's/^shlibs:Depends=//')
cat >"$root/DEBIAN/control" <<END
Package: brim
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: $depends
Section: database
Priority: optional
Description: edge cache server that speaks the memcached protocol
 Brim keeps its items in memory and in a file, survives restarts, and serves
 metrics, health and a live page to its operators.
END
echo /etc/brim/brim.yaml >"$root/DEBIAN/conffiles"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' | LC_ALL=C sort |
	grep -v '^etc/' | xargs md5sum) >"$root/DEBIAN/md5sums"
install -m 755 -t "$root/DEBIAN" "$here"/packaging/debian/{postinst,prerm,postrm}

find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/brim_${version}_$architecture.deb"
