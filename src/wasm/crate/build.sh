#!/usr/bin/env bash
# Builds ../signatures.wasm, and ../module-bytes.js of it. Usage: build.sh [--check]
# The same compiler gives the same bytes; --check builds elsewhere and compares them with ../signatures.wasm.sha256.
set -euo pipefail
cd "$(dirname "$0")"
rustup target list --installed | grep -q wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown

# The lock is kept without the address of the index that its crates come from; Cargo itself knows it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r Cargo.toml rust-toolchain.toml src "$work"
(cd "$work" && cargo generate-lockfile --quiet)
source=$(sed -n 's/^source = //p' "$work/Cargo.lock" | head -n 1)
if [ "${1:-}" = --lock ]; then
  sed "s|^source = .*|source = @index|" "$work/Cargo.lock" > Cargo.lock.in
  exit
fi
sed "s|^source = @index|source = $source|" Cargo.lock.in > "$work/Cargo.lock"

# No path of this machine goes into the module.
flags="--remap-path-prefix=$work=vestal-wasm"
(cd "$work" && cargo fetch --quiet --locked --target wasm32-unknown-unknown)
for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do flags="$flags --remap-path-prefix=${folder%/}=crates"; done
(cd "$work" && RUSTFLAGS="$flags" CARGO_TARGET_DIR="$work/target" cargo build --quiet --release --locked --target wasm32-unknown-unknown)

built="$work/target/wasm32-unknown-unknown/release/vestal_wasm.wasm"
sum=$(sha256sum < "$built" | cut -d ' ' -f 1)
if [ "${1:-}" = --check ]; then
  [ "$sum" = "$(cut -d ' ' -f 1 ../signatures.wasm.sha256)" ] || { echo "built $sum, which is not the recorded checksum" >&2; exit 1; }
  echo "the module is what its source gives: $sum"
else
  cp "$built" ../signatures.wasm
  chmod 644 ../signatures.wasm
  echo "$sum  signatures.wasm" > ../signatures.wasm.sha256
  bytes=$(gzip -9n < ../signatures.wasm | base64 -w1000)
  printf '/**\n * signatures.wasm, gzipped, in base64; crate/build.sh writes it.\n * @type {string}\n */\nexport const GZIPPED_MODULE = `\n%s\n`\n' "$bytes" > ../module-bytes.js
  echo "$(wc -c < ../signatures.wasm) bytes, $sum"
fi
