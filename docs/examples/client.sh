#!/usr/bin/env bash
# A client in bash alone: bash client.sh [HOST:PORT]
#
# The classic protocol is lines of text, so a shell can speak it, for a health check or by hand.
# Ends with 1 if an answer is not as it should be.
set -euo pipefail

address=${1:-127.0.0.1:11211}
exec 3<>"/dev/tcp/${address%:*}/${address##*:}"

# Sends one line; more lines follow it as further arguments.
send() { printf '%s\r\n' "$@" >&3; }

# Reads one line of the answer, without its line end.
receive() {
    local line
    IFS= read -r -t 5 line <&3 || { echo "no answer" >&2; exit 1; }
    printf '%s' "${line%$'\r'}"
}

# The next line of the answer must be this one.
expect() {
    local line
    line=$(receive)
    [[ $line == "$1" ]] || { echo "expected '$1', got '$line'" >&2; exit 1; }
}

value="hello from a shell"
send "set example:sh:greeting 0 60 ${#value}" "$value"
expect STORED

send "get example:sh:greeting"
expect "VALUE example:sh:greeting 0 ${#value}"
expect "$value"
expect END

send "set example:sh:visits 0 60 1" 0
expect STORED
send "incr example:sh:visits 5"
expect 5

send "delete example:sh:greeting"
expect DELETED
send "get example:sh:greeting"
expect END

# A health check: any answer to `version` will do.
send version
[[ $(receive) == VERSION\ * ]]

exec 3>&-
echo "shell: ok"
