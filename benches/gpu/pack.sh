#!/usr/bin/env bash
# Gathers what a machine with a GPU needs to run benches/gpu/run.py: the release binary, these scripts, and the trained weights
# that Lockstep and PyTorch both read. That machine needs Python 3.10 and, for the peers, torch; no Rust and no network.
#
#   benches/gpu/pack.sh [FILE]      writes FILE, by default lockstep-gpu-kit.tar.gz; FEATURES=cuda-emulated adds that device
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
output="$(realpath -m "${1:-lockstep-gpu-kit.tar.gz}")"
target="${CARGO_TARGET_DIR:-$root/target}"
most=$((64 << 20))

if [ ! -d "$(dirname "$output")" ]; then
    echo "error: $(dirname "$output") is no folder to write $(basename "$output") to" >&2
    exit 2
fi
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

(cd "$root" && cargo build --release --locked -p lockstep-cli ${FEATURES:+--features "$FEATURES"})
kit="$scratch/lockstep-gpu-kit"
mkdir -p "$kit/model"
cp "$target/release/lockstep" "$here"/*.py "$here/README.md" "$root"/LICENSE-* "$kit/"
cp "$root"/models/bert-small/document-classifier/* "$kit/model/"
cp "$root/models/bert-small/README.md" "$kit/model/"
(cd "$kit" && find . -type f ! -name SHA256SUMS -exec sha256sum {} + | sort -k 2 > SHA256SUMS)
tar -czf "$scratch/kit.tar.gz" -C "$scratch" lockstep-gpu-kit

# Both the archive and what it unpacks to must fit where such kits are taken.
for what in "$scratch/kit.tar.gz" "$kit"; do
    bytes="$(du -sb "$what" | cut -f 1)"
    if [ "$bytes" -gt "$most" ]; then
        echo "error: $(basename "$what") has $bytes bytes, more than the $most that a kit may have" >&2
        exit 1
    fi
done
mv "$scratch/kit.tar.gz" "$output"
glibc="$(grep -aoE 'GLIBC_[0-9]+\.[0-9]+' "$kit/lockstep" | sort -uV | tail -n 1)"
echo "$output: $(du -sb "$output" | cut -f 1) bytes, $(du -sb "$kit" | cut -f 1) unpacked; the binary needs ${glibc/_/ }"
