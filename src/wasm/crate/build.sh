#!/usr/bin/env bash
# Builds ../signatures.wasm, ../resize.wasm and ../numbers.wasm, and of the first two ../module-bytes.js and ../resize-module.ts. Usage: build.sh [--check | --lock]
# The same compiler gives the same bytes; --check builds elsewhere and compares them with the recorded checksums.
set -euo pipefail
cd "$(dirname "$0")"
rustup target list --installed | grep -q wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown
# Instructions of 128 bits; where memory is the caller's, and no stack that needs more.
RESIZE_FLAGS='-Ctarget-feature=+simd128 -Clink-arg=--export=__heap_base -Clink-arg=-zstack-size=16384'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Builds the crate of a folder into $work/target. The lock is kept without the address of the index that its crates come from; Cargo itself knows it.
build() {
  local folder=$1 option=$2 source flags kept
  rm -rf "$work/crate" && mkdir "$work/crate"
  cp -r "$folder/Cargo.toml" rust-toolchain.toml "$folder/src" "$work/crate"
  (cd "$work/crate" && cargo generate-lockfile --quiet)
  source=$(sed -n 's/^source = //p' "$work/crate/Cargo.lock" | head -n 1)
  if [ "$option" = --lock ]; then
    sed "s|^source = .*|source = @index|" "$work/crate/Cargo.lock" > "$folder/Cargo.lock.in"
    return
  fi
  sed "s|^source = @index|source = $source|" "$folder/Cargo.lock.in" > "$work/crate/Cargo.lock"
  # No path of this machine goes into the module.
  flags="--remap-path-prefix=$work/crate=vestal-wasm"
  if [ "$folder" = resize ]; then flags="$flags $RESIZE_FLAGS"; fi
  (cd "$work/crate" && cargo fetch --quiet --locked --target wasm32-unknown-unknown)
  for kept in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do flags="$flags --remap-path-prefix=${kept%/}=crates"; done
  (cd "$work/crate" && RUSTFLAGS="$flags" CARGO_TARGET_DIR="$work/target" cargo build --quiet --release --locked --target wasm32-unknown-unknown)
}

# Compares a built module with its recorded checksum, or puts it in its place.
keep() {
  local built="$work/target/wasm32-unknown-unknown/release/$1" name=$2 option=$3 sum
  sum=$(sha256sum < "$built" | cut -d ' ' -f 1)
  if [ "$option" = --check ]; then
    [ "$sum" = "$(cut -d ' ' -f 1 "../$name.sha256")" ] || { echo "built $name of $sum, which is not the recorded checksum" >&2; exit 1; }
    echo "$name is what its source gives: $sum"
    return
  fi
  cp "$built" "../$name"
  chmod 644 "../$name"
  echo "$sum  $name" > "../$name.sha256"
  echo "$name: $(wc -c < "../$name") bytes, $sum"
}

option=${1:-}
for each in ".:vestal_wasm.wasm:signatures.wasm" "resize:vestal_resize.wasm:resize.wasm" \
  "numbers:vestal_numbers.wasm:numbers.wasm"; do
  IFS=: read -r folder built name <<< "$each"
  build "$folder" "$option"
  [ "$option" = --lock ] || keep "$built" "$name" "$option"
done
if [ -z "$option" ]; then
  bytes=$(gzip -9n < ../signatures.wasm | base64 -w1000)
  printf '/**\n * signatures.wasm, gzipped, in base64; crate/build.sh writes it.\n * @type {string}\n */\nexport const GZIPPED_MODULE = `\n%s\n`\n' "$bytes" > ../module-bytes.js
  printf '/** resize.wasm in base64; crate/build.sh writes it. */\nexport const RESIZE_MODULE: string =\n  %s\n' "'$(base64 -w0 < ../resize.wasm)'" > ../resize-module.ts
fi
